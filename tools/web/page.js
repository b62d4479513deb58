// What the page shows, and what it asks of the worker that runs the command. Whatever a file
// brings is put in as text.
(() => {
	const $ = (id) => document.getElementById(id);
	const el = (tag, properties, ...content) => {
		const e = Object.assign(document.createElement(tag), properties);
		e.append(...content);
		return e;
	};
	const packed = new Blob([Uint8Array.from(atob($("program").textContent), (c) => c.charCodeAt(0))]);
	const code = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
	const size = (n) => n < 1e6 ? (n / 1e3).toFixed(1) + " kB" : (n / 1e6).toFixed(1) + " MB";
	const count = (n, noun) => n + " " + noun + (n === 1 ? "" : "s");

	// Program is a worker with the files that were dropped.
	class Program {
		constructor(given) {
			this.worker = new Worker(code);
			this.asked = new Map(); // by their numbers
			this.last = 0;
			this.told = () => {};
			this.worker.onmessage = ({ data }) => {
				if (data.id === undefined) return this.told(data);
				const { resolve, reject } = this.asked.get(data.id);
				this.asked.delete(data.id);
				data.error === undefined ? resolve(data.result) : reject(new Error(data.error));
			};
			this.worker.onerror = (e) => begun && this === program ? again(e.message) : this.end(e.message);
			let begun = false; // what does not begin does not begin anew
			this.ready = this.ask("begin", { packed, given });
			this.ready.then(() => { begun = true; }, () => {}); // whoever runs a command hears of an error
		}

		ask(task, rest) {
			return new Promise((resolve, reject) => {
				this.asked.set(++this.last, { resolve, reject });
				this.worker.postMessage({ id: this.last, task, ...rest });
			});
		}

		// run is a command, seen from the folder of what was dropped.
		async run(args, told = () => {}) {
			await this.ready;
			this.told = told;
			return this.ask("run", { args, folder: "/in" });
		}

		// end ends the worker, and with it what it is at.
		end(why) {
			this.worker.terminate();
			for (const { reject } of this.asked.values()) reject(new Error(why));
		}
	}

	let program, given = [], planned;

	// again ends the program and begins another with the same files.
	function again(why) {
		program.end(why);
		program = new Program(given);
	}

	// --- what is dropped

	// below is every file of an entry of a drop, by its path.
	async function below(entry, path = entry.name) {
		if (entry.isFile) return [[path, await new Promise((resolve, reject) => entry.file(resolve, reject))]];
		const reader = entry.createReader(), all = [];
		for (;;) { // a reader gives a hundred at a time
			const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
			if (some.length === 0) return all;
			for (const e of some) all.push(...await below(e, path + "/" + e.name));
		}
	}

	const networks = /\.(onnx|pth|pt|ckpt|bin|npz|pt2|pdparams|safetensors)$/i;

	// take begins with files, as [path, blob] pairs.
	async function take(files) {
		if (files.length === 0) return;
		program?.end("other files were dropped");
		given = files.map(([path, blob]) => ["/in/" + path, blob]);
		program = new Program(given);
		const names = [...new Set(files.map(([path]) => path.split("/")[0]))];
		const folders = names.filter((name) => !files.some(([path]) => path === name));
		const single = names.filter((name) => networks.test(name));
		const all = names.length > 1 ? ["."] : [];
		const order = folders.length === 0 && single.length === 0 ? [...all, ...names] : [...folders, ...single, ...all];
		$("source").replaceChildren(...order.map((name) => el("option", { value: name }, name === "." ? "all files together" : name)));
		$("say").reset();
		$("say").hidden = false;
		formats();
		await plan();
		familiesNamed();
	}

	async function familiesNamed() {
		if ($("families").options.length > 0) return;
		const { stdout } = await program.run(["__complete", "families", ""]);
		$("families").replaceChildren(...stdout.split("\n").filter((line) => line.includes("\t"))
			.map((line) => el("option", { value: line.split("\t")[0] }, line.split("\t")[1])));
	}

	// formats lists what the result may be, that of the source first.
	function formats() {
		const name = $("source").value.toLowerCase();
		let all = [".safetensors", ".pth", ".npz"];
		if (/\.(pth|pt|ckpt|bin|pt2|pdparams)$/.test(name)) all = [".pth", ".safetensors", ".npz"];
		if (name.endsWith(".npz")) all = [".npz", ".safetensors", ".pth"];
		if (name.endsWith(".onnx")) all = [".onnx"];
		$("format").replaceChildren(...all.map((f) => el("option", {}, f)));
	}

	// --- what is said

	const fields = ["eps", "identity", "family", "dtype"];
	const words = (line) => [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3]);
	const flags = () => [...fields.flatMap((f) => $(f).value ? ["--" + f, $(f).value] : []), ...words($("more").value)];

	// suggested is the flags in a hint that can be typed as they stand.
	function suggested(hint) {
		const fits = { eps: /\d/, identity: /(^|=)(yes|no)$/, family: /=|^[a-z][a-z0-9-]*\//, set: /=/, cost: /^any$/, only: /./, prefix: /\.$/ };
		const all = [...hint.matchAll(/--([a-z]+) ('[^']*'|[^\s,;()]+)|--(fold-bn|freeze-inputs|bfloat16|force-size)\b/g)];
		return all.filter((m) => m[3] || fits[m[1]]?.test(m[2]) && !/^[A-Z]+$/.test(m[2])).map((m) => m[0]);
	}

	// say puts a flag into its field, or else behind the others, and plans again.
	function say(flag) {
		const [name, value] = words(flag);
		if (fields.includes(name.slice(2)) && !value.includes("=")) $(name.slice(2)).value = value;
		else if (!$("more").value.includes(flag)) $("more").value = ($("more").value + " " + flag).trim();
		plan();
	}

	const buttons = (hint) => suggested(hint).map((flag) => el("button", { type: "button", onclick: () => say(flag) }, flag));

	// --- what is done

	// working shows that something is being done, and what went wrong if it does.
	async function working(what, act) {
		const bar = $("state").querySelector("progress"), said = $("state").querySelector("span");
		$("error").hidden = true;
		$("state").hidden = false;
		bar.removeAttribute("value");
		said.textContent = what;
		for (const b of $("say").querySelectorAll("button")) b.disabled = true;
		try {
			return await act((text, share) => {
				said.textContent = text;
				if (share !== undefined) bar.value = share;
			});
		} catch (e) {
			failed("", String(e.message));
		} finally {
			$("state").hidden = true;
			$("say").querySelector("[type=submit]").disabled = false;
			$("fuse").disabled = !planned;
		}
	}

	// failed shows an error as the command has it: what is wrong, and what to type.
	function failed(stderr, text) {
		const lines = (text ?? stderr).split("\n").filter(Boolean);
		$("error").replaceChildren(...lines.filter((line) => !line.startsWith("note: ")).map((line) =>
			el("p", {}, line.replace(/^repfuse: /, ""), " ", ...(line.startsWith("hint: ") ? buttons(line) : []))));
		$("error").hidden = false;
	}

	function plan() {
		const now = program;
		planned = undefined;
		$("plan").hidden = $("result").hidden = true;
		return working("reading", async () => {
			const { code, stdout, stderr } = await now.run(["plan", "--json", ...flags(), $("source").value]);
			if (now !== program) return;
			if (code === 2) return failed(stderr);
			planned = JSON.parse(stdout);
			$("plan").replaceChildren(...overview(planned));
			$("plan").hidden = false;
		});
	}

	function overview(p) {
		const kept = p.tensors.filter((t) => t.fate === "kept"), dropped = p.tensors.filter((t) => t.fate === "dropped");
		const makes = p.blocks.flatMap((b) => b.makes.map((m) => [b, m]));
		return [
			el("h2", {}, "The plan"),
			el("p", {}, `${p.source}: ${p.format}, ${count(p.tensors.length, "tensor")}, ${size(p.source_bytes)} → ${count(p.result.length, "tensor")}, ${size(p.bytes)}. ` +
				(p.blocks.length ? `${count(p.blocks.length, "block")} become${p.blocks.length === 1 ? "s" : ""} ${count(makes.length, "layer")}; ` : p.deployed ? "It is fused already; " : "There is nothing to fuse; ") +
				`${kept.length} kept, ${dropped.length} dropped.`),
			el("ul", {}, ...p.conditions.map(condition), ...p.notes.map((n) =>
				el("li", {}, [n.where, n.text].filter(Boolean).join(": "), " ", ...buttons(n.hint ?? "")))),
			el("details", { open: makes.length <= 40 }, el("summary", {}, count(makes.length, "layer")), table(["layer", "family", "kernel", "channels"],
				makes.map(([b, m]) => [m.weight, b.family, m.kernel.join("×") || "linear", `${m.in} → ${m.out}` + (m.groups > 1 ? `, groups ${m.groups}` : "")]))),
			el("details", {}, el("summary", {}, `${kept.length + dropped.length} tensors that no layer takes`),
				table(["tensor", "", "why"], [...dropped, ...kept].map((t) => [t.key, t.fate, t.why ?? ""]))),
		];
	}

	// condition is what the result depends on, with what says it.
	function condition(c) {
		const flag = c.flag && c.by === "assumed" && c.value ? `${c.flag} ${c.value}` : "";
		return el("li", {}, `right only if ${c.if} (${c.by})`, " ", ...(flag ? buttons(flag) : []));
	}

	function table(heads, lines) {
		const row = (tag, cells) => el("tr", {}, ...cells.map((c) => el(tag, {}, c)));
		return el("table", {}, el("thead", {}, row("th", heads)), el("tbody", {}, ...lines.map((line) => row("td", line))));
	}

	function fuse() {
		const source = $("source").value, now = program;
		const name = (source === "." ? "weights" : source.replace(networks, "")) + "-fused" + $("format").value;
		const begun = performance.now();
		$("result").hidden = true;
		return working("fusing", async (tell) => {
			const { bytes } = planned;
			await now.ask("empty", { folder: "/out" });
			const done = await now.run(["fuse", "--json", "--force", ...flags(), source, "/out/" + name],
				({ written }) => tell(`fusing: ${size(written)} of ${size(bytes)}`, written / bytes));
			if (done.code === 2) return failed(done.stderr);
			const fused = performance.now(), seconds = (t) => (t / 1000).toFixed(1) + " s";
			const result = async (verdict, took) => {
				const files = await now.ask("take", { folder: "/out" });
				$("result").replaceChildren(el("h2", {}, "The result"), ...verdict, saves(files), el("small", {}, took));
				$("result").hidden = false;
			};
			const took = `Fused in ${seconds(fused - begun)}`;
			await result([], `${took}, not verified.`);
			tell("verifying");
			const proof = await now.run(["verify", "--json", "--force", "--report", "/out/report.html", ...flags(), source, "/out/" + name],
				({ read }) => tell(`verifying: ${size(read)} read`));
			if (proof.code === 2) return failed(proof.stderr);
			await result([verdict(JSON.parse(proof.stdout))], `${took}, verified in ${seconds(performance.now() - fused)}, ` +
				`in ${size(Math.max(done.memory, proof.memory))} of memory beside the browser's own and what was written.`);
		});
	}

	const meanings = { exact: "every stored element is within 0.501 ulp of the real fused value", equivalent: "every stored element is within what rounding explains" };

	function verdict(v) {
		return el("div", { className: "verdict " + v.verdict }, el("strong", {}, v.verdict),
			el("p", {}, v.why ?? meanings[v.verdict]), ...v.conditions.map((c) => el("p", {}, `if ${c.if} (${c.by})`)));
	}

	// saves is what was written, to be saved, and the report to be looked at.
	function saves(files) {
		const all = files.map(([name, blob]) => [name, blob, URL.createObjectURL(blob)]);
		return el("p", { className: "saves" }, ...all.map(([name, blob, href]) => el("a", { href, download: name }, `save ${name} (${size(blob.size)})`)),
			...all.filter(([name]) => name === "report.html").map(([, , href]) => el("a", { href, target: "_blank" }, "look at the report")));
	}

	// --- what is clicked at

	$("files").onclick = () => pick(false);
	$("folder").onclick = () => pick(true);
	function pick(folder) {
		$("pick").webkitdirectory = folder;
		$("pick").value = "";
		$("pick").click();
	}
	$("pick").onchange = () => take([...$("pick").files].map((f) => [f.webkitRelativePath || f.name, f]));
	$("say").onsubmit = (e) => { e.preventDefault(); plan(); };
	$("source").onchange = () => { formats(); plan(); };
	$("fuse").onclick = fuse;
	$("stop").onclick = () => again("stopped");
	addEventListener("dragover", (e) => { e.preventDefault(); $("drop").classList.add("over"); });
	addEventListener("dragleave", () => $("drop").classList.remove("over"));
	addEventListener("drop", async (e) => {
		e.preventDefault();
		$("drop").classList.remove("over");
		const entries = [...e.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
		take((await Promise.all(entries.map((entry) => below(entry)))).flat());
	});
})();
