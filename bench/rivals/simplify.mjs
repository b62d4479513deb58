// node bench/rivals/simplify.mjs MODULES IN OUT: what npm's onnxsim makes of a model.
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

const [modules, from, to] = process.argv.slice(2);
const { simplify } = await import(resolve(modules, "onnxsim/index.mjs"));
const { model } = await simplify(await readFile(from));
await writeFile(to, model);
