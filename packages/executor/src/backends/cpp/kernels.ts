import type { HostArray } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import type { Fixed } from './fixed.js';

/** An argument of a kernel: memory (null where it is left out), a number, or a whole number of up to 53 bits. */
export type Argument = HostArray | null | number;
export type Kernel = (...args: Argument[]) => void;

export interface FixedMemory {
  readonly memory: Fixed;
  /** A kernel as `scratchKernel` has it, with addresses (a) in `memory`; it returns whether it lacked scratch memory. */
  kernel(name: string, types: string): (...args: number[]) => number;
}

/** The kernels of kernels/cpu, as a shared library or as WebAssembly. */
export interface KernelLibrary {
  /** For small calls of kernels that work in scratch memory; left out where memory has no address. */
  readonly fixed?: FixedMemory;
  /** Kernel `name`; `types` are those of its arguments, p: memory, i: int64_t, d: double. */
  kernel(name: string, types: string): Kernel;
  /** One that works in scratch memory: it throws an ExecutorError `memory` where there is none. */
  scratchKernel(name: string, types: string): Kernel;
}

/** A kernel that returns whether it lacked memory, as one that throws. */
export function throwing(kernel: (...args: Argument[]) => unknown, device: string, name: string): Kernel {
  return (...args) => {
    if (kernel(...args)) throw noScratch(device, name);
  };
}

export function noScratch(device: string, name: string): ExecutorError {
  return new ExecutorError('memory', `out of memory: ${device} has no room for what ${name} works in`);
}
