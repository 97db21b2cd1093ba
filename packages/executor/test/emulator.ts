import { createRequire } from 'node:module';

type Func = (...args: (string | number)[]) => unknown;

/** A function of the library, which is loaded when it is first called: tests that are skipped have none. */
function func(name: string, result: string, args: string[]): Func {
  let found: Func | undefined;
  return (...given) => {
    if (!found) {
      const { load } = createRequire(import.meta.url)('koffi') as {
        load: (path: string) => { func: (name: string, result: string, args: string[]) => Func };
      };
      found = load(process.env['DAG_CUDA_DRIVER']!).func(name, result, args);
    }
    return found(...given);
  };
}

/** What the emulator of CUDA lets tests see and do; see kernels/cuda/emulator/driver.cpp. */
export function emulator() {
  const count = func('dagEmulatorCount', 'double', ['int']) as (which: number) => number;
  return {
    /** Bytes that are allocated on the device. */
    used: func('dagEmulatorUsed', 'double', []) as () => number,
    /** Kernels that were launched by themselves, launches of graphs, and graphs that are there. */
    counts: () => ({ kernels: count(0), graphLaunches: count(1), graphs: count(2) }),
    order: func('dagEmulatorOrder', 'void', ['const char *']) as (order: string) => void,
    fail: func('dagEmulatorFail', 'void', ['const char *']) as (fault: string) => void,
  };
}
