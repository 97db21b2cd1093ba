import type { HostArray } from '../../backend.js';
import { ExecutorError } from '../../error.js';

/** An argument of a kernel: memory (null where it is left out), a number, or a whole number of up to 53 bits. */
export type Argument = HostArray | null | number;
export type Kernel = (...args: Argument[]) => void;

/** The kernels of kernels/cpu, as a shared library or as WebAssembly. */
export interface KernelLibrary {
  /** Kernel `name`; `types` are those of its arguments, p: memory, i: int64_t, d: double. */
  kernel(name: string, types: string): Kernel;
  /** One that works in scratch memory: it throws an ExecutorError `memory` where there is none. */
  scratchKernel(name: string, types: string): Kernel;
}

/** A kernel that returns whether it lacked memory, as one that throws. */
export function throwing(kernel: (...args: Argument[]) => unknown, device: string, name: string): Kernel {
  return (...args) => {
    if (kernel(...args))
      throw new ExecutorError('memory', `out of memory: ${device} has no room for what ${name} works in`);
  };
}
