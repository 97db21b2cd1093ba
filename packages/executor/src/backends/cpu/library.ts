import type { HostArray } from '../../backend.js';
import { ExecutorError } from '../../error.js';

/** An argument of a kernel: memory (null where it is left out), a number, or a whole number of up to 53 bits. */
export type Argument = HostArray | null | number;
type Kernel = (...args: Argument[]) => void;

/** The shared library with the kernels of one variant of the instruction set. */
export interface Library {
  /** Where it was loaded from. */
  readonly path: string;
  /** `avx512`, `avx2` or `baseline`: the widest that the processor runs, or the one that was asked for. */
  readonly variant: string;
  readonly physicalCores: number;
  /** Kernel `name` of the variant; `types` are those of its arguments, p: memory, i: int64_t, d: double. */
  kernel(name: string, types: string): Kernel;
  /** How many threads a kernel runs on; 0 before any thread of JavaScript has set it. */
  threads(): number;
  setThreads(threads: number): void;
  /**
   * Where an array of `bytes` begins in `memory`: at a cache line, one of which `memory` has more than that. Asks for
   * huge pages for a large one.
   */
  place(memory: Uint8Array, bytes: number): number;
  /** Scratch blocks that the kernels ever allocated, and those that a kernel holds now. */
  scratch(): { allocated: number; held: number };
}

/** What is used of koffi, see its documentation: https://koffi.dev. */
interface Koffi {
  load(path: string): { func: Bind };
}
type Bind = (name: string, result: string, args: readonly string[]) => (...args: unknown[]) => unknown;

const TYPES: Readonly<Record<string, string>> = { p: 'void *', i: 'int64_t', d: 'double' };

/**
 * Loads the native library: the file that `DAG_CPU_LIBRARY` names, else what `npm run build` made in this package, else
 * that of the platform's package `@dag/executor-<platform>-<arch>`.
 *
 * @param variant left out, `DAG_CPU_VARIANT` or the widest that the processor runs
 * @throws {ExecutorError} `device` that says why it cannot be loaded
 */
export function loadLibrary(variant = environment('DAG_CPU_VARIANT')): Library {
  const path = findLibrary();
  const func = open(path);
  const widest = func('dag_variant', 'const char *', [])() as string;
  const chosen = variant ?? widest;
  if (VARIANTS.indexOf(chosen) < VARIANTS.indexOf(widest))
    throw new ExecutorError(
      'device',
      `there are no kernels '${chosen}' for this processor; it runs ${VARIANTS.slice(VARIANTS.indexOf(widest)).join(', ')}`,
    );
  const place = func('dag_place', 'int32_t', ['void *', 'double']);
  const threads = func('dag_threads', 'int32_t', []);
  const setThreads = func('dag_set_threads', 'int32_t', ['int32_t']);
  const scratchStats = func('dag_scratch_stats', 'void', ['void *']);
  return {
    path,
    variant: chosen,
    physicalCores: func('dag_physical_cores', 'int32_t', [])() as number,
    kernel: (name, types) => {
      const args = Array.from(types, (type) => TYPES[type]!);
      return func(`dag_${name}_${chosen}`, 'void', args) as Kernel;
    },
    threads: () => threads() as number,
    setThreads: (count) => void setThreads(count),
    place: (memory, bytes) => place(memory, bytes) as number,
    scratch: () => {
      const stats = new Float64Array(2);
      scratchStats(stats);
      return { allocated: stats[0]!, held: stats[1]! };
    },
  };
}

function open(path: string): Bind {
  const native = explained(path, () => (requireHere()('koffi') as Koffi).load(path));
  return (...signature) => explained(path, () => native.func(...signature));
}

/** What `body` returns; its errors say which file they are about. */
function explained<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    // The first line: behind it Node lists the modules that asked for koffi.
    const [why] = (error as Error).message.split('\n');
    throw new ExecutorError('device', `the native kernels of ${path} cannot be used: ${why}`);
  }
}

/** Widest first. */
const VARIANTS = ['avx512', 'avx2', 'baseline'];

/** A variable of the environment, undefined where it is not set or empty. */
export function environment(name: string): string | undefined {
  return globalThis.process?.env[name] || undefined;
}

/** Node's `require`; not imported, so that the package loads where there is no Node. */
function requireHere(): NodeJS.Require {
  const { process } = globalThis as { process?: NodeJS.Process };
  if (!process?.versions?.node) throw new ExecutorError('device', 'the native kernels need Node');
  if (!process.getBuiltinModule)
    throw new ExecutorError(
      'device',
      `the native kernels need Node 20.16 or newer, this is ${process.version}`,
    );
  return process.getBuiltinModule('node:module').createRequire(import.meta.url);
}

function findLibrary(): string {
  const require = requireHere();
  const { existsSync } = process.getBuiltinModule('node:fs');
  const given = environment('DAG_CPU_LIBRARY');
  if (given !== undefined) {
    if (existsSync(given)) return given;
    throw new ExecutorError('device', `DAG_CPU_LIBRARY is ${given}, which does not exist`);
  }
  const platform = `${process.platform}-${process.arch}`;
  // This module is dist/index.js of the package or, in its tests, src/backends/cpu/library.ts.
  for (const up of ['../', '../../../']) {
    const built = process
      .getBuiltinModule('node:url')
      .fileURLToPath(new URL(`${up}native/${platform}/dag_executor.so`, import.meta.url));
    if (existsSync(built)) return built;
  }
  try {
    return require.resolve(`@dag/executor-${platform}/dag_executor.so`);
  } catch {
    throw new ExecutorError(
      'device',
      `no native kernels for ${platform}: the optional package @dag/executor-${platform} is not installed`,
    );
  }
}
