import type { BackendEntry } from '../../devices.js';
import { recordable } from '../call-recorder.js';
import { cppKernels } from '../cpp/index.js';
import { WasmKernels, type WasmInstance } from './instance.js';
import { memory } from './memory.js';

/** The kernels of kernels/cpu as WebAssembly, on one thread; `instantiate` gives an instance of dag_executor.wasm. */
export const wasm = (instantiate: () => WasmInstance): BackendEntry => ({
  device: 'wasm',
  preference: 2,
  load: () => {
    const kernels = new WasmKernels(instantiate());
    return {
      backend: recordable({ ...cppKernels(kernels), device: 'wasm', ...memory(kernels) }),
      info: () => ({ device: 'wasm', threads: 1 }),
    };
  },
});
