// node wasm.mjs TRAIN.wasm PLAN STEPS: the program with nothing of emscripten's own around it.
import { readFileSync } from "node:fs";

const [program, planFile, steps] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(program));
const bytesAt = (at, count) => new Uint8Array(instance.exports.memory.buffer, at, count);
const imports = {
  env: {
    print(text) {
      const bytes = bytesAt(text);
      process.stdout.write(Buffer.from(bytes.subarray(0, bytes.indexOf(0))));
    },
  },
  // What the C library says before it aborts. There are no files, and whoever asks for one ends here.
  wasi_snapshot_preview1: Object.fromEntries(
    ["proc_exit", "fd_close", "fd_write", "fd_seek"].map((name) => [
      name,
      () => {
        throw new Error(`the program called ${name}`);
      },
    ]),
  ),
};
const missing = WebAssembly.Module.imports(module).filter((i) => !imports[i.module]?.[i.name]);
if (missing.length > 0) {
  console.error("needs more of its host than print:", missing);
  process.exit(2);
}
const instance = await WebAssembly.instantiate(module, imports);
instance.exports._initialize?.();
const plan = readFileSync(planFile);
const room = instance.exports.plan_room(plan.length);
if (room === 0) {
  console.error(planFile, "is too large");
  process.exit(2);
}
bytesAt(room, plan.length).set(plan);
process.exitCode = instance.exports.train(plan.length, Number(steps));
