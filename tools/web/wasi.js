// The calls of WASI preview 1 that a Go program makes, over Files. What is not here answers that
// it is not there, as on any system that lacks a call.

const errno = { ok: 0, access: 2, descriptor: 8, exists: 20, invalid: 28, isFolder: 31, notThere: 44, noCall: 52, noFolder: 54, notEmpty: 55 };
const kinds = { terminal: 2, folder: 3, file: 4 };
const flags = { create: 1, directory: 2, exclusive: 4, truncate: 8, append: 1 };

// Exit is thrown where the program ends.
class Exit {
	constructor(code) { this.code = code; }
}

class Wasi {
	// told is called with the bytes that were read and written, now and then.
	constructor(files, args, folder, told) {
		this.files = files;
		this.args = ["repfuse", ...args];
		this.environ = ["PWD=" + folder, "TMPDIR=" + folder];
		this.told = told;
		this.open = new Map([[0, { node: null }], [1, { said: [] }], [2, { said: [] }], [3, { node: files.root, name: "/" }]]);
		this.slept = 0n;
		this.read = this.written = 0;
		this.tellAt = 0;
	}

	// run runs a compiled program to its end: its exit code, and what it said.
	async run(module) {
		const calls = new Proxy(this, { get: (all, name) => name in all.calls ? all.calls[name].bind(all) : () => errno.noCall });
		const program = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: calls });
		this.memory = program.exports.memory;
		let code = 0;
		try {
			program.exports._start();
		} catch (end) {
			if (!(end instanceof Exit)) throw end;
			code = end.code;
		}
		const text = (fd) => new TextDecoder().decode(joined(this.open.get(fd).said));
		return { code, stdout: text(1), stderr: text(2), memory: this.memory.buffer.byteLength };
	}

	get view() { return new DataView(this.memory.buffer); }
	bytes(at, n) { return new Uint8Array(this.memory.buffer, at, n); }
	text(at, n) { return new TextDecoder().decode(this.bytes(at, n)); }

	// moved counts bytes, and tells of them ten times a second.
	moved(read, written) {
		this.read += read;
		this.written += written;
		if (performance.now() > this.tellAt) {
			this.told(this.read, this.written);
			this.tellAt = performance.now() + 100;
		}
	}

	// strings writes a list of arguments or variables, or what they take.
	strings(list, pointers, at) {
		for (const s of list) {
			const b = new TextEncoder().encode(s + "\0");
			this.view.setUint32(pointers, at, true);
			this.bytes(at, b.length).set(b);
			pointers += 4;
			at += b.length;
		}
		return errno.ok;
	}
	sizes(list, count, size) {
		this.view.setUint32(count, list.length, true);
		this.view.setUint32(size, new TextEncoder().encode(list.join("\0") + "\0").length, true);
		return errno.ok;
	}

	// moving goes through the buffers of a call, each of which act reads or fills from a place on.
	moving(list, n, total, act) {
		let done = 0;
		for (let k = 0; k < n; k++) {
			const at = this.view.getUint32(list + 8 * k, true), length = this.view.getUint32(list + 8 * k + 4, true);
			const moved = act(this.bytes(at, length), done);
			done += moved;
			if (moved < length) break;
		}
		this.view.setUint32(total, done, true);
		return done;
	}
	reading(fd, list, n, total, at) {
		const { node } = this.open.get(fd) ?? {};
		if (node === undefined) return errno.descriptor;
		if (node instanceof Folder) return errno.isFolder;
		const done = this.moving(list, n, total, (b, from) => node ? node.read((at ?? this.open.get(fd).at) + from, b) : 0);
		if (at === undefined && node) this.open.get(fd).at += done;
		this.moved(done, 0);
		return errno.ok;
	}
	writing(fd, list, n, total, at) {
		const f = this.open.get(fd);
		if (f?.said) {
			this.moving(list, n, total, (b) => f.said.push(b.slice()) && b.length);
			return errno.ok;
		}
		if (!(f?.node instanceof Made)) return f ? errno.access : errno.descriptor;
		const start = at ?? (f.append ? f.node.size : f.at);
		const done = this.moving(list, n, total, (b, from) => { f.node.write(start + from, b); return b.length; });
		if (at === undefined) f.at = start + done;
		this.moved(0, done);
		return errno.ok;
	}

	// stat writes what is known of a file.
	stat(at, node) {
		const v = this.view;
		this.bytes(at, 64).fill(0);
		v.setBigUint64(at + 8, node?.inode ?? 0n, true);
		v.setUint8(at + 16, kindOf(node));
		v.setBigUint64(at + 24, 1n, true);
		v.setBigUint64(at + 32, BigInt(node?.size ?? 0), true);
		for (const time of [40, 48, 56]) v.setBigUint64(at + time, node?.changed ?? 0n, true);
		return errno.ok;
	}

	// found looks up the path of a call below a descriptor.
	found(fd, at, n) { return this.files.find(this.text(at, n), this.open.get(fd)?.node); }

	// opened makes, empties or takes the node that path_open is for; a number is why not.
	opened(found, how) {
		if (!found) return errno.notThere;
		const { folder, name, node } = found;
		if (!node) {
			if (!(how & flags.create)) return errno.notThere;
			folder.entries.set(name, new Made());
			return folder.entries.get(name);
		}
		if (how & flags.create && how & flags.exclusive) return errno.exists;
		if (how & flags.directory && !(node instanceof Folder)) return errno.noFolder;
		if (!(how & flags.truncate)) return node;
		if (!(node instanceof Made)) return errno.access;
		node.pieces.length = node.size = 0;
		return node;
	}

	// removed takes a name away where it stands for the kind that is meant.
	removed(found, isFolder) {
		if (!found?.node) return errno.notThere;
		if (!found.folder) return errno.access;
		if (found.node instanceof Folder !== isFolder) return isFolder ? errno.noFolder : errno.isFolder;
		if (isFolder && found.node.entries.size > 0) return errno.notEmpty;
		found.folder.entries.delete(found.name);
		return errno.ok;
	}
}

function kindOf(node) {
	if (!node) return kinds.terminal;
	return node instanceof Folder ? kinds.folder : kinds.file;
}

function joined(parts) {
	const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	parts.reduce((at, p) => { all.set(p, at); return at + p.length; }, 0);
	return all;
}
