import { ExecutorError, firstLine } from '../../error.js';
import { builtFile, environment, loadKoffi, requireHere, type Bind } from '../native.js';
import { throwing, type Kernel, type KernelLibrary } from '../cpp/kernels.js';
import { checkComplete } from './elf.js';

/** The shared library with the kernels of one variant of the instruction set. */
export interface Library extends KernelLibrary {
  /** The file that it was loaded from. */
  readonly path: string;
  /** `avx512`, `avx2` or `baseline`: the variant named by the caller, or the widest that the processor runs. */
  readonly variant: string;
  readonly physicalCores: number;
  /** Number of threads of a kernel; 0 before any thread of JavaScript has set it. */
  threads(): number;
  setThreads(threads: number): void;
  /**
   * The offset at which an array of `bytes` begins in the memory that `memory` is the beginning of, so that it starts at a cache line;
   * that memory is one cache line longer than the array. Asks for huge pages for a large array.
   */
  place(memory: Uint8Array, bytes: number): number;
  /** Number of scratch blocks that kernels ever allocated, and of those in use now. */
  scratch(): { allocated: number; inUse: number };
}

/** Fits a graph of depth 8 and its gradients. */
const FIXED_NUMBERS = 512;
const TYPES: Readonly<Record<string, string>> = { p: 'void *', a: 'uintptr_t', i: 'int64_t', d: 'double' };

const typesOf = (types: string): string[] => Array.from(types, (type) => TYPES[type]!);

/**
 * Loads the native library: the file that `DAG_CPU_LIBRARY` names, else the one that `npm run build` made in this package, else
 * that of the platform's package `@dag/executor-<platform>-<arch>`.
 *
 * @param variant left out, `DAG_CPU_VARIANT` or the widest that the processor runs
 * @throws {ExecutorError} `device` that says why it cannot be loaded; `value` for a variant that the processor does not run
 */
export function loadLibrary(variant = environment('DAG_CPU_VARIANT')): Library {
  checkVariant(variant, VARIANTS);
  const path = findLibrary();
  const func = open(path);
  const numbers = new Float64Array(FIXED_NUMBERS);
  const widest = func('dag_variant', 'const char *', [])() as string;
  checkVariant(variant, VARIANTS.slice(VARIANTS.indexOf(widest)));
  const chosen = variant ?? widest;
  const place = func('dag_place', 'int32_t', ['void *', 'double']);
  const threads = func('dag_threads', 'int32_t', []);
  const setThreads = func('dag_set_threads', 'int32_t', ['int32_t']);
  const scratchStats = func('dag_scratch_stats', 'void', ['void *']);
  return {
    path,
    variant: chosen,
    fixed: {
      numbers,
      address: Number(loadKoffi().address(numbers)),
      kernel: (name, types) =>
        func(`dag_${name}_${chosen}`, 'int32_t', typesOf(types)) as (...args: number[]) => number,
    },
    physicalCores: func('dag_physical_cores', 'int32_t', [])() as number,
    kernel: (name, types) => func(`dag_${name}_${chosen}`, 'void', typesOf(types)) as Kernel,
    scratchKernel: (name, types) =>
      throwing(func(`dag_${name}_${chosen}`, 'int32_t', typesOf(types)), 'cpu', name),
    threads: () => threads() as number,
    setThreads: (count) => void setThreads(Math.min(count, 2 ** 31 - 1)),
    place: (memory, bytes) => place(memory, bytes) as number,
    scratch: () => {
      const stats = new Float64Array(2);
      scratchStats(stats);
      return { allocated: stats[0]!, inUse: stats[1]! };
    },
  };
}

function checkVariant(variant: string | undefined, allowed: readonly string[]): void {
  if (variant !== undefined && !allowed.includes(variant))
    throw new ExecutorError(
      'value',
      `DAG_CPU_VARIANT is one of ${allowed.join(', ')} on this processor, given '${variant}'`,
    );
}

function open(path: string): Bind {
  explained(path, () => checkComplete(path));
  const native = explained(path, () => loadKoffi().load(path));
  return (...signature) => explained(path, () => native.func(...signature));
}

/** Returns what `body` returns; adds the file to its errors. */
function explained<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new ExecutorError('device', `the native kernels of ${path} cannot be used: ${firstLine(error)}`);
  }
}

/** Widest first. */
const VARIANTS = ['avx512', 'avx2', 'baseline'];

function findLibrary(): string {
  const require = requireHere();
  const { existsSync } = process.getBuiltinModule('node:fs');
  const given = environment('DAG_CPU_LIBRARY');
  if (given !== undefined) {
    if (existsSync(given)) return given;
    throw new ExecutorError('device', `DAG_CPU_LIBRARY is ${given}, which does not exist`);
  }
  const platform = `${process.platform}-${process.arch}`;
  const built = builtFile(`${platform}/dag_executor.so`);
  if (built) return built;
  try {
    return require.resolve(`@dag/executor-${platform}/dag_executor.so`);
  } catch {
    throw new ExecutorError(
      'device',
      `no native kernels for ${platform}: the optional package @dag/executor-${platform} is not installed`,
    );
  }
}
