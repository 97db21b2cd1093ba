import type { Device } from '../src/index.js';

/** The backends that the tests run on. */
export const devices: readonly Device[] = ['reference'];
