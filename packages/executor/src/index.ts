/** The executor in Node, Deno and Bun, where native kernels and files can be loaded; elsewhere it is portable.ts. */
import { cpu } from './backends/cpu/index.js';
import { wasmFile } from './backends/wasm/file.js';
import { wasm } from './backends/wasm/index.js';
import { registerBackend } from './devices.js';
import { Tensor } from './tensor.js';

registerBackend(cpu);
registerBackend(wasm(wasmFile));

// What their consoles print. Not a method of the class: with a computed name in it, bundlers would keep all of Tensor.
Object.defineProperty(Tensor.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value: Tensor.prototype.toString,
});

export * from './portable.js';
