import type { Device } from '../src/index.js';
import { backendOf } from '../src/devices.js';

/** The backends that the tests run on. */
export const devices: readonly Device[] = ['reference', 'cpu'].filter(isThere);

function isThere(device: string): device is Device {
  try {
    return backendOf(device as Device).device === device;
  } catch {
    return false;
  }
}
