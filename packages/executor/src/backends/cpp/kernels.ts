import type { HostArray } from '../../backend.js';
import { ExecutorError } from '../../error.js';

/** An argument of a kernel: memory (null where it is left out) or a number; whole numbers have up to 53 bits. */
export type Argument = HostArray | null | number;
export type Kernel = (...args: Argument[]) => void;

/** The kernels of kernels/cpu, as a shared library or as WebAssembly. */
export interface KernelLibrary {
  /** For calls on few graphs; left out where memory has no address. */
  readonly fixed?: FixedMemory;
  /** Kernel `name`; `types` has a letter for each argument, p: memory, i: int64_t, d: double. */
  kernel(name: string, types: string): Kernel;
  /** A kernel that takes scratch memory; throws an ExecutorError `memory` where there is no room for it. */
  scratchKernel(name: string, types: string): Kernel;
}

/** Memory at a fixed address, and the kernels of dag.cpp that take addresses in it and return whether scratch memory was lacking. */
export interface FixedMemory {
  readonly numbers: Float64Array;
  readonly address: number;
  /** Kernel `name` of `scratchKernel`; `types` has a for an address. */
  kernel(name: string, types: string): (...args: number[]) => number;
}

/** Wraps a kernel that returns whether scratch memory was lacking into one that throws. */
export function throwing(kernel: (...args: Argument[]) => unknown, device: string, name: string): Kernel {
  return (...args) => {
    if (kernel(...args)) throw noScratch(device, name);
  };
}

export function noScratch(device: string, name: string): ExecutorError {
  return new ExecutorError('memory', `out of memory: ${device} has no room for what ${name} works in`);
}
