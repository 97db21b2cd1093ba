/** The executor in Node, Deno and Bun, where native kernels and files can be loaded; elsewhere it is portable.ts. */
import { cpu } from './backends/cpu/index.js';
import { wasmFile } from './backends/wasm/file.js';
import { wasm } from './backends/wasm/index.js';
import { registerBackend } from './devices.js';

registerBackend(cpu);
registerBackend(wasm(wasmFile));

export * from './portable.js';
