import type { BackendEntry } from '../../devices.js';
import { recordable } from '../call-recorder.js';
import { cppKernels } from '../cpp/index.js';
import { threadsSetting } from '../threads.js';
import { WasmKernels, type WasmInstance } from './instance.js';
import { memory } from './memory.js';

/** The kernels of kernels/cpu as WebAssembly; `instantiate` gives an instance of one of the two modules. */
export function wasm(instantiate: () => WasmInstance): BackendEntry {
  let kernels: WasmKernels | null = null;
  /** The last argument of setNumThreads. */
  let wanted: number | undefined;
  return {
    device: 'wasm',
    preference: 2,
    load: () => {
      const count = wanted ?? threadsSetting();
      const loaded = (kernels = new WasmKernels(instantiate()));
      if (count !== undefined) loaded.setThreads(count);
      return {
        backend: recordable({ ...cppKernels(loaded), device: 'wasm', ...memory(loaded) }),
        info: () => ({ device: 'wasm', threads: loaded.threads }),
      };
    },
    setThreads: (count) => {
      wanted = count;
      kernels?.setThreads(count);
    },
  };
}
