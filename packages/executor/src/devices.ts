import type { Backend, Device } from './backend.js';
import { reference } from './backends/reference/index.js';
import { ExecutorError } from './error.js';

/** Every backend that this package has, fastest first. */
const backends: readonly Backend[] = [reference];

/** The backend of a device; left out, the fastest that is there. */
export function backendOf(device?: Device): Backend {
  const backend = device === undefined ? backends[0] : backends.find((b) => b.device === device);
  if (backend) return backend;
  const known = backends.map((b) => `'${b.device}'`).join(', ');
  throw new ExecutorError('device', `no backend '${String(device)}' here; available: ${known}`);
}
