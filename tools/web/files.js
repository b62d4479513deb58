// The files that a command sees: those that were dropped, which the browser reads piece by
// piece, and those that the command writes, which lie in memory.

const piece = 1 << 20; // bytes that are read, or set aside, at once

let inodes = 0n;

class Node {
	inode = ++inodes;
	changed = BigInt(Date.now()) * 1000000n;
}

// Folder is names and what they stand for.
class Folder extends Node {
	entries = new Map();
	size = 0;
}

// Pieces is a file whose k-th piece is piece(k).
class Pieces extends Node {
	read(at, into) {
		const n = Math.max(0, Math.min(into.length, this.size - at));
		split(at, at + n, (k, from, to, done) => into.set(this.piece(k).subarray(from, to), done));
		return n;
	}
}

// Given is a file that was dropped. The pieces that were read last, of all files, are kept: rows
// of several tensors are read in turn.
class Given extends Pieces {
	static kept = new Map();

	constructor(blob) {
		super();
		this.blob = blob;
	}

	get size() { return this.blob.size; }

	// piece is the k-th of the file.
	piece(k) {
		const name = this.inode + ":" + k, kept = Given.kept;
		const b = kept.get(name) ?? new Uint8Array(new FileReaderSync().readAsArrayBuffer(this.blob.slice(k * piece, (k + 1) * piece)));
		kept.delete(name);
		kept.set(name, b); // as the last
		if (kept.size > 16) kept.delete(kept.keys().next().value);
		return b;
	}
}

// split calls back with every piece between two offsets: its number, from where to where in it,
// and how far that is from the first offset.
function split(at, end, call) {
	for (let here = at; here < end;) {
		const from = here % piece, to = Math.min(piece, from + end - here);
		call(Math.floor(here / piece), from, to, here - at);
		here += to - from;
	}
}

// Made is a file that the command wrote, in pieces of one size.
class Made extends Pieces {
	pieces = [];
	size = 0;

	piece(k) { return this.pieces[k] ??= new Uint8Array(piece); }

	write(at, bytes) {
		split(at, at + bytes.length, (k, from, to, done) => this.piece(k).set(bytes.subarray(done, done + to - from), from));
		this.size = Math.max(this.size, at + bytes.length);
		this.changed += 1n;
	}

	// toBlob is the file for the page.
	toBlob(type) {
		const parts = [];
		split(0, this.size, (k, from, to) => parts.push(this.piece(k).subarray(from, to)));
		return new Blob(parts, { type });
	}
}

// Files is the tree, with the paths of the command in it.
class Files {
	root = new Folder();

	// put gives a dropped file its path, and makes the folders above it.
	put(path, blob) {
		let folder = this.root;
		const names = path.split("/").filter(Boolean), last = names.pop();
		for (const name of names) {
			if (!folder.entries.has(name)) folder.entries.set(name, new Folder());
			folder = folder.entries.get(name);
		}
		folder.entries.set(last, blob ? new Given(blob) : new Folder());
	}

	// find is what a path stands for, seen from a folder: the folder that holds it, its name
	// there, and the node, which may not be there. Undefined is a way through what is no folder.
	find(path, from = this.root) {
		const way = [path.startsWith("/") ? this.root : from];
		const names = path.split("/").filter((part) => part !== "" && part !== ".");
		for (const [k, part] of names.entries()) {
			const here = way.at(-1);
			if (!(here instanceof Folder)) return undefined;
			if (part === "..") {
				if (way.length > 1) way.pop();
				continue;
			}
			const next = here.entries.get(part);
			if (k === names.length - 1) return { folder: here, name: part, node: next };
			if (!next) return undefined;
			way.push(next);
		}
		return { node: way.at(-1) };
	}
}
