import type { Trace } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { builtFile, environment, requireHere } from '../native.js';
import { Driver, SUCCESS } from './driver.js';

/** An argument of a kernel: a number (an address, or one of the kind that the kernel takes), the words of a Walk, or a tensor map. */
export type Argument = number | Float64Array | BigUint64Array;
export type Grid = readonly [x: number, y?: number, z?: number];
/** Launches a kernel: `grid` blocks of `threads`, with `shared` bytes of dynamic shared memory. */
export type Launch = (grid: Grid, threads: number, shared: number, ...args: Argument[]) => void;

const COMPUTE_CAPABILITY_MAJOR = 75;
const COMPUTE_CAPABILITY_MINOR = 76;
const MULTIPROCESSOR_COUNT = 16;
const MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97;
const MAX_DYNAMIC_SHARED_SIZE_BYTES = 8;
/** Bytes of shared memory that a kernel has by default. */
const PLAIN_SHARED = 48 << 10;
const STREAM_NON_BLOCKING = 1;
/** The lowest compute capability that the kernels are built for, times ten. */
const OLDEST_CAPABILITY = 75;
/** Words for the parameters of one launch. */
const WORDS = 512;
/** Words of a tensor map, and the bytes that it is aligned to. */
const MAP_WORDS = 16;
const MAP_ALIGNMENT = 128n;
/** As cuda.h numbers them: types of tensor maps, 128-byte swizzle, and lines of 256 bytes for L2. */
const MAP_TYPES = { bf16: 9, tf32: 11 } as const;
const SWIZZLE_128B = 3;
const L2_256B = 3;
const TWO_32 = 2 ** 32;
/** The most blocks of a grid in its first dimension, and in each other one. */
const MOST_BLOCKS = 2 ** 31 - 1;
export const MOST_IN_Y = 65_535;

/** Matrices in global memory, each rows × columns, and the tiles of them that are copied to shared memory. */
export interface TiledMatrices {
  readonly address: number;
  /** What a number is, there and in shared memory; numbers of `tf32` are f32 there, and are rounded. */
  readonly type: keyof typeof MAP_TYPES;
  readonly matrices: number;
  readonly rows: number;
  readonly columns: number;
  /** Numbers from row to row, and from matrix to matrix. */
  readonly strides: readonly [row: number, matrix: number];
  /** A tile: rows of `columns` numbers, 128 bytes. */
  readonly tile: readonly [rows: number, columns: number];
}

/** One GPU: its context, the stream on which all work is queued in order, and the kernels. */
export class CudaDevice {
  readonly driver: Driver;
  /** From 0, as the driver counts. */
  readonly number: number;
  readonly name: string;
  /** Compute capability times ten. */
  readonly capability: number;
  readonly multiprocessors: number;
  /** Most bytes of shared memory of a block. */
  readonly sharedLimit: number;
  readonly stream: bigint;
  /** The trace of the step that is being traced or recorded. */
  trace: Trace[number][] | null = null;
  readonly #modules = new Map<string, bigint>();
  /** The parameters of a launch, and the address of each. */
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #words64: BigUint64Array;
  readonly #pointers: BigUint64Array;
  readonly #addresses: { readonly words: bigint; readonly pointers: bigint };
  /** Where the driver writes a tensor map. */
  readonly #map: AlignedWords;

  /** @throws {ExecutorError} `device` where the driver, a device or the kernels are missing. */
  constructor() {
    const driver = (this.driver = new Driver());
    const { ordinal, index, name, capability } = chooseDevice(driver);
    this.number = ordinal;
    this.name = name;
    this.capability = capability;
    const context = new BigUint64Array(1);
    driver.call('cuDevicePrimaryCtxRetain', context, index);
    driver.call('cuCtxSetCurrent', context[0]!);
    this.multiprocessors = attribute(driver, index, MULTIPROCESSOR_COUNT);
    this.sharedLimit = attribute(driver, index, MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    const stream = new BigUint64Array(1);
    driver.call('cuStreamCreate', stream, STREAM_NON_BLOCKING);
    this.stream = stream[0]!;
    const words = alignedWords(driver, WORDS);
    const pointers = alignedWords(driver, WORDS);
    this.#words = new Int32Array(words.of.buffer, words.of.byteOffset, 2 * WORDS);
    this.#doubles = new Float64Array(words.of.buffer, words.of.byteOffset, WORDS);
    this.#words64 = words.of;
    this.#pointers = pointers.of;
    this.#addresses = { words: words.address, pointers: pointers.address };
    this.#map = alignedWords(driver, MAP_WORDS);
    // Load all files now, so that a damaged or missing one is an error here and not at the first op.
    this.#module('elementwise');
  }

  /**
   * Kernel `name` of kernels/cuda/<module>.cu. `types` are those of its arguments: p address, i int64_t, d double, w Walk, t tensor
   * map; those in parentheses are the members of one structure.
   */
  kernel(module: string, name: string, types: string): Launch {
    let handle = 0n;
    let allowed = PLAIN_SHARED;
    const { driver } = this;
    return ([x, y = 1, z = 1], threads, shared, ...args) => {
      if (x > MOST_BLOCKS || y > MOST_IN_Y || z > MOST_IN_Y)
        throw new ExecutorError(
          'shape',
          `cuda: the kernel ${name} would need ${x} × ${y} × ${z} blocks, a grid has up to ${MOST_BLOCKS} × ${MOST_IN_Y} × ${MOST_IN_Y}`,
        );
      if (handle === 0n) handle = this.#function(module, name);
      if (shared > allowed) {
        this.checkShared(name, shared);
        driver.call('cuFuncSetAttribute', handle, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared);
        allowed = shared;
      }
      this.#setParameters(types, args);
      this.trace?.push({ what: `the kernel ${name}`, numbers: [x, y, z, ...numbersOf(types, args)] });
      const { pointers } = this.#addresses;
      const code = driver.try(
        'cuLaunchKernel',
        ...[handle, x, y, z, threads, 1, 1, shared, this.stream, pointers, null],
      );
      if (code !== SUCCESS) throw driver.error(code, `the kernel ${name}`);
    };
  }

  /** Runs `body`, whose launches are in no trace. */
  untraced(body: () => void): void {
    const { trace } = this;
    this.trace = null;
    try {
      body();
    } finally {
      this.trace = trace;
    }
  }

  /** The tensor map (CUtensorMap) of matrices: address and strides are multiples of 16 bytes, sizes below 2^31. */
  tensorMap({ address, type, matrices, rows, columns, strides, tile }: TiledMatrices): BigUint64Array {
    const bytes = type === 'tf32' ? 4 : 2;
    const words = (numbers: readonly number[]) => BigUint64Array.from(numbers, BigInt);
    this.driver.call(
      'cuTensorMapEncodeTiled',
      ...[this.#map.address, MAP_TYPES[type], 3, address],
      ...[words([columns, rows, matrices]), words(strides.map((stride) => stride * bytes))],
      ...[Uint32Array.of(tile[1], tile[0], 1), Uint32Array.of(1, 1, 1), 0, SWIZZLE_128B, L2_256B, 0],
    );
    return this.#map.of.slice();
  }

  /** @throws {ExecutorError} `device` where a block cannot have so much shared memory. */
  checkShared(name: string, shared: number): void {
    if (shared > this.sharedLimit)
      throw new ExecutorError(
        'device',
        `cuda: ${name} needs ${shared} bytes of shared memory here, a block of '${this.name}' has ${this.sharedLimit}`,
      );
  }

  /** Blocks until all queued work is done. */
  synchronize(): void {
    this.driver.call('cuStreamSynchronize', this.stream);
  }

  #setParameters(types: string, args: readonly Argument[]): void {
    let word = 0;
    let parameter = 0;
    let argument = 0;
    let nested = false;
    const begin = () => (this.#pointers[parameter++] = this.#addresses.words + BigInt(word * 8));
    for (const type of types) {
      if (type === 't') word = Math.ceil(word / MAP_WORDS) * MAP_WORDS;
      if (type === '(' || type === ')') {
        nested = type === '(';
        if (nested) begin();
        continue;
      }
      if (!nested) begin();
      const value = args[argument++]!;
      if (value instanceof BigUint64Array) {
        this.#words64.set(value, word);
        word += value.length;
      } else if (typeof value !== 'number') for (const part of value) this.#setWord(word++, part);
      else if (type === 'd') this.#doubles[word++] = value;
      else this.#setWord(word++, value);
    }
  }

  /** A whole number of up to 53 bits. */
  #setWord(word: number, value: number): void {
    this.#words[2 * word] = value | 0;
    this.#words[2 * word + 1] = Math.floor(value / TWO_32);
  }

  #function(module: string, name: string): bigint {
    const handle = new BigUint64Array(1);
    const code = this.driver.try('cuModuleGetFunction', handle, this.#module(module), name);
    if (code !== SUCCESS)
      throw this.driver.error(code, `the kernel ${name}, which is not in ${this.#file(module)},`);
    return handle[0]!;
  }

  #module(name: string): bigint {
    const known = this.#modules.get(name);
    if (known !== undefined) return known;
    const file = this.#file(name);
    const { readFileSync } = process.getBuiltinModule('node:fs');
    const handle = new BigUint64Array(1);
    const code = this.driver.try('cuModuleLoadData', handle, readFileSync(file));
    if (code !== SUCCESS) throw this.driver.error(code, `to load ${file}`);
    this.#modules.set(name, handle[0]!);
    return handle[0]!;
  }

  #file(module: string): string {
    const name = `${module}.fatbin`;
    const folder = environment('DAG_CUDA_KERNELS');
    if (folder !== undefined) {
      const file = `${folder}/${name}`;
      if (process.getBuiltinModule('node:fs').existsSync(file)) return file;
      throw new ExecutorError('device', `DAG_CUDA_KERNELS is ${folder}, where there is no ${name}`);
    }
    const built = builtFile(`cuda/${name}`);
    if (built) return built;
    try {
      return requireHere().resolve(`@dag/executor-cuda/${name}`);
    } catch {
      throw new ExecutorError(
        'device',
        'no CUDA kernels: `npm install @dag/executor-cuda` brings them, and nvcc did not build them here',
      );
    }
  }
}

interface AlignedWords {
  readonly of: BigUint64Array;
  readonly address: bigint;
}

/** Memory that does not move, aligned as a tensor map has to be. */
function alignedWords({ koffi }: Driver, length: number): AlignedWords {
  const room = koffi.alloc('uint64_t', length + MAP_WORDS);
  const skipped = (MAP_ALIGNMENT - (room % MAP_ALIGNMENT)) % MAP_ALIGNMENT;
  const of = new BigUint64Array(koffi.view(room, (length + MAP_WORDS) * 8), Number(skipped), length);
  return { of, address: room + skipped };
}

/** Arguments without addresses, which tensor maps have in them. */
function numbersOf(types: string, args: readonly Argument[]): number[] {
  const kinds = types.replace(/[()]/g, '');
  return args.flatMap((value, i) => {
    if (typeof value === 'number') return kinds[i] === 'p' ? [] : [value];
    return value instanceof Float64Array ? [...value] : [];
  });
}

function attribute(driver: Driver, device: number, which: number): number {
  const value = new Int32Array(1);
  driver.call('cuDeviceGetAttribute', value, which, device);
  return value[0]!;
}

/** The variables in which launchers of MPI say which process of this machine one is, from 0: Open MPI, MPICH and Intel MPI, Slurm. */
const LOCAL_RANKS = ['OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID', 'SLURM_LOCALID'] as const;

interface FoundDevice {
  readonly ordinal: number;
  readonly index: number;
  readonly name: string;
  readonly capability: number;
}

/**
 * The device of number `DAG_CUDA_DEVICE`; else, of those that the kernels are built for, the one of this process's rank on its machine, and the
 * first where no launcher says a rank.
 */
function chooseDevice(driver: Driver): FoundDevice {
  const all = devicesOf(driver);
  const usable = all.filter(({ capability }) => capability >= OLDEST_CAPABILITY);
  const given = environment('DAG_CUDA_DEVICE');
  const launcher = LOCAL_RANKS.find((name) => /^\d+$/.test(environment(name) ?? ''));
  const rank = launcher === undefined ? 0 : Number(environment(launcher));
  const chosen = given === undefined ? usable[rank] : usable.find(({ ordinal }) => String(ordinal) === given);
  if (chosen) return chosen;
  const found = all.map(
    ({ ordinal, name, capability }) => `${ordinal}: ${name}, compute capability ${capability / 10}`,
  );
  const wanted = given === undefined ? '' : ` of number ${given} (DAG_CUDA_DEVICE)`;
  throw new ExecutorError(
    'device',
    given === undefined && launcher !== undefined && usable.length > 0
      ? `cuda: no GPU is left for process ${rank} of this machine (${launcher}), counted from 0; start as many as there are GPUs, ` +
          `${usable.length}, or set DAG_CUDA_DEVICE; found ${found.join('; ')}`
      : `cuda: no GPU${wanted} of compute capability 7.5 or more; found ${found.join('; ') || 'none'}`,
  );
}

function devicesOf(driver: Driver): FoundDevice[] {
  const count = new Int32Array(1);
  driver.call('cuDeviceGetCount', count);
  return Array.from({ length: count[0]! }, (_, ordinal) => {
    const device = new Int32Array(1);
    driver.call('cuDeviceGet', device, ordinal);
    const index = device[0]!;
    const text = new Uint8Array(256);
    driver.call('cuDeviceGetName', text, text.length, index);
    const name = new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
    const major = attribute(driver, index, COMPUTE_CAPABILITY_MAJOR);
    const capability = 10 * major + attribute(driver, index, COMPUTE_CAPABILITY_MINOR);
    return { ordinal, index, name, capability };
  });
}
