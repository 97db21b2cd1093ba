import type { HostArray } from '../../backend.js';

/** An argument of a kernel: memory (null where it is left out), a number, or a whole number of up to 53 bits. */
export type Argument = HostArray | null | number;
export type Kernel = (...args: Argument[]) => void;

/** The kernels of kernels/cpu, as a shared library or as WebAssembly. */
export interface KernelLibrary {
  /** Kernel `name`; `types` are those of its arguments, p: memory, i: int64_t, d: double. */
  kernel(name: string, types: string): Kernel;
}
