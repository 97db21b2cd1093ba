import '../src/cuda.js';
import { backendOf } from '../src/devices.js';
import { ExecutorError, type Device } from '../src/index.js';
import { prepareCuda } from './prepare-cuda.js';

/** Why a backend or library does not load; null where it does. */
export function missing(load: () => unknown): string | null {
  try {
    load();
    return null;
  } catch (error) {
    if (error instanceof ExecutorError && error.code === 'device') return error.message;
    throw error;
  }
}

/** Why the native kernels cannot be tested here; null where they can. */
export const cpuIsMissing = missing(() => backendOf('cpu'));

/** Why `cuda` cannot be tested here; null where it can. */
export const cudaIsMissing: string | null = prepareCuda() ?? missing(() => backendOf('cuda'));

/** Why `wasm` cannot be tested here; null where it can. */
export const wasmIsMissing = missing(() => backendOf('wasm'));

/** The backends that the tests run on. */
export const devices: readonly Device[] = [
  'reference',
  ...(cpuIsMissing === null ? (['cpu'] as const) : []),
  ...(wasmIsMissing === null ? (['wasm'] as const) : []),
  ...(cudaIsMissing === null ? (['cuda'] as const) : []),
];

/** Whether the kernels are those of `npm run test:sanitize`. */
export const isSanitized = process.env['DAG_CUDA_EMULATOR'] === 'cuda-sanitize';

/** How often a property is tried: `often`, or less where every thread of a device is a fiber that a sanitizer watches. */
export function runsOn(device: Device, often: number): number {
  return device === 'cuda' && isSanitized ? Math.ceil(often / 10) : often;
}
