import { backendOf } from '../src/devices.js';
import { ExecutorError, type Device } from '../src/index.js';

/** Why the native kernels cannot be tested here; null where they can. */
export const cpuIsMissing: string | null = (() => {
  try {
    backendOf('cpu');
    return null;
  } catch (error) {
    if (error instanceof ExecutorError && error.code === 'device') return error.message;
    throw error;
  }
})();

/** The backends that the tests run on. */
export const devices: readonly Device[] = cpuIsMissing === null ? ['reference', 'cpu'] : ['reference'];
