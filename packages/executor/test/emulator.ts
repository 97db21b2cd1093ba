import { createRequire } from 'node:module';

/** What the emulator of CUDA lets tests see and do; see kernels/cuda/emulator/driver.cpp. */
export function emulator() {
  const { load } = createRequire(import.meta.url)('koffi') as {
    load: (path: string) => {
      func: (name: string, result: string, args: string[]) => (...args: unknown[]) => unknown;
    };
  };
  const library = load(process.env['DAG_CUDA_DRIVER']!);
  const count = library.func('dagEmulatorCount', 'double', ['int']) as (which: number) => number;
  return {
    /** Bytes that are allocated on the device. */
    used: library.func('dagEmulatorUsed', 'double', []) as () => number,
    /** Kernels that were launched by themselves, launches of graphs, and graphs that are there. */
    counts: () => ({ kernels: count(0), graphLaunches: count(1), graphs: count(2) }),
    order: library.func('dagEmulatorOrder', 'void', ['const char *']) as (order: string) => void,
    fail: library.func('dagEmulatorFail', 'void', ['const char *']) as (fault: string) => void,
  };
}
