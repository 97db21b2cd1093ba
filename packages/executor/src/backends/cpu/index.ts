import type { Backend } from '../../backend.js';
import type { BackendEntry } from '../../devices.js';
import { recordable } from '../call-recorder.js';
import { cppKernels } from '../cpp/index.js';
import { threadsSetting } from '../threads.js';
import { loadLibrary, type Library } from './library.js';
import { memory } from './memory.js';

let library: Library | null = null;
/** The last argument of setNumThreads. */
let wanted: number | undefined;

/** The backend of native kernels, which work in JavaScript's memory. */
export const createCpu = (loaded: Library): Backend =>
  recordable({ ...cppKernels(loaded), device: 'cpu', ...memory(loaded) });

export const cpu: BackendEntry = {
  device: 'cpu',
  preference: 1,
  load: () => {
    const count = wanted ?? threadsSetting();
    const loaded = (library = loadLibrary());
    // All threads of JavaScript share the library: a worker keeps the number that another thread has set.
    if (wanted !== undefined || loaded.threads() === 0) loaded.setThreads(count ?? loaded.physicalCores);
    return {
      backend: createCpu(loaded),
      info: () => ({
        device: 'cpu',
        threads: loaded.threads(),
        variant: loaded.variant,
        library: loaded.path,
      }),
    };
  },
  setThreads: (count) => {
    wanted = count;
    library?.setThreads(count);
  },
};
