// The calls themselves, by their names; this is a Wasi.
Wasi.prototype.calls = {
	args_sizes_get(count, size) { return this.sizes(this.args, count, size); },
	args_get(pointers, at) { return this.strings(this.args, pointers, at); },
	environ_sizes_get(count, size) { return this.sizes(this.environ, count, size); },
	environ_get(pointers, at) { return this.strings(this.environ, pointers, at); },
	proc_exit(code) { throw new Exit(code); },
	sched_yield() { return errno.ok; },

	random_get(at, n) {
		for (let done = 0; done < n; done += 65536) crypto.getRandomValues(this.bytes(at + done, Math.min(65536, n - done)));
		return errno.ok;
	},

	// Nobody waits: a sleep ends at once, and the clock goes on by it.
	clock_time_get(id, _precision, at) {
		const now = id === 0 ? Date.now() : performance.now();
		this.view.setBigUint64(at, BigInt(Math.round(now * 1e6)) + this.slept, true);
		return errno.ok;
	},
	poll_oneoff(asked, events, n, count) {
		const v = this.view;
		let least;
		for (let at = asked; at < asked + 48 * n; at += 48) {
			if (v.getUint8(at + 8) === 0 && !(v.getUint16(at + 40, true) & 1)) {
				const wait = v.getBigUint64(at + 24, true);
				least = least === undefined || wait < least ? wait : least;
			}
		}
		this.slept += least ?? 0n;
		for (let k = 0; k < n; k++) {
			this.bytes(events + 32 * k, 32).fill(0);
			v.setBigUint64(events + 32 * k, v.getBigUint64(asked + 48 * k, true), true);
			v.setUint8(events + 32 * k + 10, v.getUint8(asked + 48 * k + 8));
		}
		v.setUint32(count, n, true);
		return errno.ok;
	},

	fd_prestat_get(fd, at) {
		const name = this.open.get(fd)?.name;
		if (!name) return errno.descriptor;
		this.view.setUint32(at, 0, true);
		this.view.setUint32(at + 4, name.length, true);
		return errno.ok;
	},
	fd_prestat_dir_name(fd, at, n) {
		this.bytes(at, n).set(new TextEncoder().encode(this.open.get(fd).name));
		return errno.ok;
	},
	fd_fdstat_get(fd, at) {
		if (!this.open.has(fd)) return errno.descriptor;
		this.bytes(at, 24).fill(0);
		this.view.setUint8(at, kindOf(this.open.get(fd).node));
		this.view.setBigUint64(at + 8, ~0n, true);
		this.view.setBigUint64(at + 16, ~0n, true);
		return errno.ok;
	},
	fd_fdstat_set_flags() { return errno.ok; },
	fd_sync() { return errno.ok; },
	fd_close(fd) { return this.open.delete(fd) ? errno.ok : errno.descriptor; },
	fd_filestat_get(fd, at) { return this.open.has(fd) ? this.stat(at, this.open.get(fd).node) : errno.descriptor; },
	fd_read(fd, list, n, total) { return this.reading(fd, list, n, total); },
	fd_pread(fd, list, n, at, total) { return this.reading(fd, list, n, total, Number(at)); },
	fd_write(fd, list, n, total) { return this.writing(fd, list, n, total); },
	fd_pwrite(fd, list, n, at, total) { return this.writing(fd, list, n, total, Number(at)); },
	fd_seek(fd, offset, whence, to) {
		const f = this.open.get(fd);
		if (!f?.node) return errno.descriptor;
		f.at = Number(offset) + [0, f.at, f.node.size][whence];
		this.view.setBigUint64(to, BigInt(f.at), true);
		return errno.ok;
	},
	fd_readdir(fd, at, n, cookie, used) {
		const { node } = this.open.get(fd) ?? {};
		if (!(node instanceof Folder)) return errno.noFolder;
		const said = [];
		for (const [k, [name, entry]] of [...node.entries].entries()) {
			if (k < cookie) continue;
			const b = new TextEncoder().encode(name), head = new DataView(new ArrayBuffer(24));
			head.setBigUint64(0, BigInt(k + 1), true);
			head.setBigUint64(8, entry.inode, true);
			head.setUint32(16, b.length, true);
			head.setUint8(20, kindOf(entry));
			said.push(new Uint8Array(head.buffer), b);
		}
		const all = joined(said).subarray(0, n);
		this.bytes(at, all.length).set(all);
		this.view.setUint32(used, all.length, true);
		return errno.ok;
	},

	path_open(fd, _links, at, n, how, _rights, _inherited, state, to) {
		const node = this.opened(this.found(fd, at, n), how);
		if (typeof node === "number") return node;
		let free = 3;
		while (this.open.has(free)) free++;
		this.open.set(free, { node, at: 0, append: state & flags.append });
		this.view.setUint32(to, free, true);
		return errno.ok;
	},
	path_filestat_get(fd, _links, at, n, to) {
		const node = this.found(fd, at, n)?.node;
		return node ? this.stat(to, node) : errno.notThere;
	},
	path_create_directory(fd, at, n) {
		const found = this.found(fd, at, n);
		if (!found) return errno.notThere;
		if (found.node) return errno.exists;
		found.folder.entries.set(found.name, new Folder());
		return errno.ok;
	},
	path_unlink_file(fd, at, n) { return this.removed(this.found(fd, at, n), false); },
	path_remove_directory(fd, at, n) { return this.removed(this.found(fd, at, n), true); },
	path_rename(fd, at, n, toFd, toAt, toN) {
		const from = this.found(fd, at, n), to = this.found(toFd, toAt, toN);
		if (!from?.node || !to) return errno.notThere;
		if (!from.folder || !to.folder) return errno.access;
		if (to.node instanceof Folder && to.node.entries.size > 0) return errno.notEmpty;
		from.folder.entries.delete(from.name);
		to.folder.entries.set(to.name, from.node);
		return errno.ok;
	},
	path_readlink(fd, at, n) { return this.found(fd, at, n)?.node ? errno.invalid : errno.notThere; }, // there are no links
};
