// The program's own thread: it keeps the files, and runs one command after the other.
const files = new Files();
let module;

const tasks = {
	// begin takes the packed program and the files, as [path, blob] pairs; no blob is a folder.
	async begin({ packed, given }) {
		for (const [path, blob] of given) files.put(path, blob);
		const unpacked = packed.stream().pipeThrough(new DecompressionStream("gzip"));
		module = await WebAssembly.compileStreaming(new Response(unpacked, { headers: { "Content-Type": "application/wasm" } }));
	},
	// run runs the command in a folder.
	run({ args, folder }) {
		return new Wasi(files, args, folder, (read, written) => postMessage({ read, written })).run(module);
	},
	// empty forgets what commands wrote into a folder.
	empty({ folder }) { files.put(folder, null); },
	// take is the files that commands wrote into a folder, as [name, blob] pairs.
	take({ folder }) {
		const made = [...files.find(folder).node.entries].filter(([, node]) => node instanceof Made);
		return made.map(([name, node]) => [name, node.toBlob(name.endsWith(".html") ? "text/html" : "application/octet-stream")]);
	},
};

addEventListener("message", async ({ data }) => {
	try {
		postMessage({ id: data.id, result: await tasks[data.task](data) });
	} catch (e) {
		postMessage({ id: data.id, error: String(e) });
	}
});
