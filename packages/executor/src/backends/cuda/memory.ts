import type { Backend, DType, HostArray, Scalar, Seed, Storage } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { sizeClass } from '../../size-class.js';
import { hash } from '../../trace.js';
import { bytesOf, copyOf, hostArray, hostBytes, rangeOf } from '../host.js';
import { environment } from '../native.js';
import { fromBf16, toBf16 } from './bf16.js';
import type { CudaDevice } from './device.js';
import { NOT_READY, OUT_OF_MEMORY, SUCCESS } from './driver.js';

/** Storage in the memory of the device. */
export class CudaStorage implements Storage {
  readonly dtype: DType;
  readonly length: number;
  readonly block: Block;
  /** Smallest and largest of i32s, or of a single number, that the host wrote: they can be checked without waiting for the device. */
  range: readonly [number, number] | null = null;

  constructor(dtype: DType, length: number, block: Block) {
    this.dtype = dtype;
    this.length = length;
    this.block = block;
  }

  get capacity(): number {
    return this.block.bytes;
  }
}

/** A block of device memory. */
interface Block {
  /** 0 for no memory, also after it was freed. */
  address: number;
  /** Bytes that were allocated from the driver. */
  readonly bytes: number;
  /** The arena of the recording in which it was allocated, to which it returns: recorded steps may work in it. */
  readonly arena: Arena | null;
}

const NO_BLOCK: Block = { address: 0, bytes: 0, arena: null };
/** The memory that recorded steps work in, and no one else: its free blocks by size. */
export class Arena {
  readonly free = new Map<number, number[]>();
  /** Whether recorded steps may still work in it. */
  isInUse = true;
}

function keep(free: Map<number, number[]>, bytes: number, address: number): void {
  const list = free.get(bytes);
  if (list) list.push(address);
  else free.set(bytes, [address]);
}

/** Allocates device memory and keeps free blocks for later requests: the driver's own allocation waits for the device. */
export class Allocator {
  readonly #device: CudaDevice;
  readonly #free = new Map<number, number[]>();
  /** Frees the blocks of storage that JavaScript has collected. */
  readonly #registry = new FinalizationRegistry<Block>((block) => this.#giveBack(block));
  /** Blocks of exact size, none kept: a debugger then finds writes outside of them. */
  readonly #exact = environment('DAG_CUDA_NO_CACHE') !== undefined;
  #arena: Arena | null = null;
  #used = 0;
  #mostUsed = 0;
  #kept = 0;

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  /** @throws {ExecutorError} `memory` where there is no room; the message says how much was requested and how much is free. */
  allocate(dtype: DType, length: number): CudaStorage {
    const wanted = length * bytesOf(dtype);
    if (wanted === 0) return new CudaStorage(dtype, length, NO_BLOCK);
    const bytes = this.#exact ? wanted : sizeClass(wanted);
    const inArena = this.#arena?.free.get(bytes)?.pop();
    const kept = inArena ?? this.#free.get(bytes)?.pop();
    if (kept !== undefined && inArena === undefined) this.#kept -= bytes;
    const address = kept ?? this.#take(bytes, `${length} numbers of ${dtype}`);
    this.#used += bytes;
    this.#mostUsed = Math.max(this.#mostUsed, this.#used);
    return this.#storageIn({ address, bytes, arena: this.#arena }, dtype, length);
  }

  reuse(storage: CudaStorage, dtype: DType, length: number): CudaStorage {
    this.#registry.unregister(storage);
    return this.#storageIn(storage.block, dtype, length);
  }

  #storageIn(block: Block, dtype: DType, length: number): CudaStorage {
    const storage = new CudaStorage(dtype, length, block);
    this.#registry.register(storage, block, storage);
    return storage;
  }

  free(storage: CudaStorage): void {
    this.#registry.unregister(storage);
    this.#giveBack(storage.block);
  }

  #giveBack(block: Block): void {
    const { address, bytes } = block;
    if (address === 0) return;
    // Freeing it again does nothing, and later uses see address 0.
    block.address = 0;
    this.#used -= bytes;
    const arena = this.#arena ?? block.arena;
    if (arena?.isInUse) return keep(arena.free, bytes, address);
    if (this.#exact) return void this.#device.driver.try('cuMemFree_v2', address);
    keep(this.#free, bytes, address);
    this.#kept += bytes;
  }

  /** Runs `body` with `arena`: it allocates from there first, and everything that it frees goes there. */
  within<T>(arena: Arena, body: () => T): T {
    this.#arena = arena;
    try {
      return body();
    } finally {
      this.#arena = null;
    }
  }

  /** Ends an arena that no recorded step works in any more: its blocks serve all requests again. */
  takeBack(arena: Arena): void {
    for (const [bytes, addresses] of arena.free)
      for (const address of addresses)
        if (this.#exact) this.#device.driver.try('cuMemFree_v2', address);
        else {
          keep(this.#free, bytes, address);
          this.#kept += bytes;
        }
    arena.free.clear();
    arena.isInUse = false;
  }

  /** Bytes of free blocks that are kept. */
  get kept(): number {
    return this.#kept;
  }

  /** Gives the free blocks back to the driver. */
  empty(): void {
    for (const free of this.#free.values())
      for (const address of free) this.#device.driver.call('cuMemFree_v2', address);
    this.#free.clear();
    this.#kept = 0;
  }

  #take(bytes: number, what: string): number {
    const { driver } = this.#device;
    const address = new BigUint64Array(1);
    // The free blocks have other sizes: with this one, more memory would be allocated than was ever in use.
    if (this.#used + this.#kept + bytes > this.#mostUsed && !this.#arena) this.empty();
    let code = driver.try('cuMemAlloc_v2', address, bytes);
    // Not while a step is recorded: freeing waits for the device.
    if (code === OUT_OF_MEMORY && this.#kept > 0 && !this.#arena) {
      this.empty();
      code = driver.try('cuMemAlloc_v2', address, bytes);
    }
    if (code === SUCCESS) return Number(address[0]!);
    if (code !== OUT_OF_MEMORY) throw driver.error(code, `to allocate ${shown(bytes)}`);
    const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
    driver.call('cuMemGetInfo_v2', free, total);
    throw new ExecutorError(
      'memory',
      `cuda: out of memory: ${shown(bytes)} asked for (${what}), ${shown(Number(free[0]!))} of ` +
        `${shown(Number(total[0]!))} free; tensors here hold ${shown(this.#used)}`,
    );
  }
}

function shown(bytes: number): string {
  if (bytes < 1 << 20) return `${bytes} bytes`;
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/** Narrows a storage to this backend's. @throws {ExecutorError} `device` for storage of another device. */
export function cudaStorage(storage: Storage): CudaStorage {
  if (storage instanceof CudaStorage) return storage;
  throw new ExecutorError('device', 'storage of another device reached the backend cuda');
}

/** Address of a storage; 0 for null, which a kernel leaves out. */
export function addressOf(storage: Storage | null): number {
  return storage ? cudaStorage(storage).block.address : 0;
}

/** A scalar as two arguments of a kernel: a number, and the address that replaces it, or 0. */
export function scalar(x: Scalar): [value: number, address: number] {
  return typeof x === 'number' ? [x, 0] : [0, addressOf(x)];
}

/** A seed as three arguments of a kernel: low, high, and the address that replaces low, or 0. */
export function seedArguments([low, high]: Seed): [low: number, high: number, lowAt: number] {
  const [value, address] = scalar(low);
  return [value, high, address];
}

/** Page-locked memory of the host, which the device copies from and to asynchronously. */
export interface Pinned {
  readonly pointer: bigint;
  readonly bytes: Uint8Array;
}

function pinned(device: CudaDevice, bytes: number): Pinned {
  const pointer = new BigUint64Array(1);
  device.driver.call('cuMemHostAlloc', pointer, bytes, 0);
  return { pointer: pointer[0]!, bytes: hostBytes(device.driver.koffi.view(pointer[0]!, bytes)) };
}

function newEvent(device: CudaDevice): bigint {
  const event = new BigUint64Array(1);
  const DISABLE_TIMING = 2;
  device.driver.call('cuEventCreate', event, DISABLE_TIMING);
  return event[0]!;
}

/** Bytes of each half of the buffer for writes. */
const HALF = 4 << 20;

/** Writes to the device in stream order, double-buffered: one half is filled while the other is copied. */
export class Writer {
  readonly #device: CudaDevice;
  #halves: { pinned: Pinned; event: bigint }[] = [];
  #half = 0;
  #at = 0;
  #kept: Pinned[] | null = null;

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  write(address: number, data: Uint8Array): void {
    const { driver, stream } = this.#device;
    this.#device.trace?.push({ what: 'a write of values of the host', numbers: [data.length, hash(data)] });
    if (this.#kept) {
      const source = pinned(this.#device, data.length);
      this.#kept.push(source);
      source.bytes.set(data);
      driver.call('cuMemcpyHtoDAsync_v2', address, source.pointer, data.length, stream);
      return;
    }
    if (this.#halves.length === 0)
      this.#halves = [0, 1].map(() => ({
        pinned: pinned(this.#device, HALF),
        event: newEvent(this.#device),
      }));
    for (let from = 0; from < data.length;) {
      if (this.#at === HALF) this.#turn();
      const size = Math.min(HALF - this.#at, data.length - from);
      const { pointer, bytes } = this.#halves[this.#half]!.pinned;
      bytes.set(data.subarray(from, from + size), this.#at);
      driver.call('cuMemcpyHtoDAsync_v2', address + from, pointer + BigInt(this.#at), size, stream);
      this.#at += size;
      from += size;
    }
  }

  /** Runs `body` with a separate block for each write, since a graph repeats its copies; the blocks are added to `kept`. */
  keeping<T>(kept: Pinned[], body: () => T): T {
    this.#kept = kept;
    try {
      return body();
    } finally {
      this.#kept = null;
    }
  }

  /** Switches to the other half, once its contents have been copied. */
  #turn(): void {
    const { driver, stream } = this.#device;
    driver.call('cuEventRecord', this.#halves[this.#half]!.event, stream);
    this.#half = 1 - this.#half;
    driver.call('cuEventSynchronize', this.#halves[this.#half]!.event);
    this.#at = 0;
  }
}

/** The buffer of one read. */
interface Reading {
  readonly pinned: Pinned;
  readonly event: bigint;
}

/** Larger buffers are freed after a read: locked pages are lost to other programs. */
const LARGEST_KEPT = 64 << 20;

/** Reads from the device through buffers that are reused. */
class Reader {
  readonly #device: CudaDevice;
  readonly #free = new Map<number, Reading[]>();

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  readSync(storage: CudaStorage, into?: HostArray): HostArray {
    const reading = this.#begin(storage);
    this.#device.synchronize();
    return this.#end(reading, storage, into);
  }

  /** Reads while other JavaScript runs. */
  async read(storage: CudaStorage): Promise<HostArray> {
    const reading = this.#begin(storage);
    const { driver, stream } = this.#device;
    driver.call('cuEventRecord', reading.event, stream);
    for (let asked = 0; ; asked++) {
      const code = driver.try('cuEventQuery', reading.event);
      if (code === SUCCESS) return this.#end(reading, storage);
      if (code !== NOT_READY) throw driver.error(code, 'to read a tensor');
      // Most results are ready soon.
      await new Promise((resolve) => (asked < 100 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    }
  }

  #begin(storage: CudaStorage): Reading {
    if (this.#device.trace)
      throw new ExecutorError(
        'recording',
        'recordStep: values are read inside the step, which is repeated without JavaScript; read what it returns',
      );
    const bytes = sizeClass(storage.length * bytesOf(storage.dtype));
    const reading = this.#free.get(bytes)?.pop() ?? {
      pinned: pinned(this.#device, bytes),
      event: newEvent(this.#device),
    };
    const { driver, stream } = this.#device;
    driver.call(
      'cuMemcpyDtoHAsync_v2',
      reading.pinned.pointer,
      storage.block.address,
      storage.length * bytesOf(storage.dtype),
      stream,
    );
    return reading;
  }

  #end(reading: Reading, { dtype, length }: CudaStorage, into?: HostArray): HostArray {
    const { pointer, bytes } = reading.pinned;
    const values =
      dtype === 'bf16'
        ? fromBf16(new Uint16Array(bytes.buffer, 0, length))
        : hostArray(dtype, length, bytes.buffer);
    const copy = copyOf(values, into);
    const free = this.#free.get(bytes.length);
    if (bytes.length > LARGEST_KEPT) {
      this.#device.driver.call('cuMemFreeHost', pointer);
      this.#device.driver.call('cuEventDestroy_v2', reading.event);
    } else if (free) free.push(reading);
    else this.#free.set(bytes.length, [reading]);
    return copy;
  }
}

/** Allocation, and copies between the memory of JavaScript and that of the device. */
export function memory(
  device: CudaDevice,
  allocator: Allocator,
  writer = new Writer(device),
): Pick<Backend, 'allocate' | 'reuse' | 'free' | 'share' | 'write' | 'read' | 'readSync' | 'rangeOf'> {
  const reader = new Reader(device);
  return {
    allocate: (dtype, length) => allocator.allocate(dtype, length),
    reuse: (storage, dtype, length) => allocator.reuse(cudaStorage(storage), dtype, length),
    free: (storage) => allocator.free(cudaStorage(storage)),
    share: () => null,
    write: (storage, data) => {
      const to = cudaStorage(storage);
      if (to.length === 0) return;
      if (to.dtype === 'bf16') {
        to.range = null;
        return writer.write(to.block.address, hostBytes(toBf16(data).buffer));
      }
      const array = hostArray(to.dtype, to.length);
      array.set(data);
      to.range = to.dtype === 'i32' || to.length === 1 ? rangeOf(array) : null;
      writer.write(to.block.address, hostBytes(array.buffer));
    },
    read: (storage) =>
      storage.length === 0 ? Promise.resolve(hostArray(storage.dtype, 0)) : reader.read(cudaStorage(storage)),
    readSync: (storage, into) =>
      storage.length === 0
        ? copyOf(hostArray(storage.dtype, 0), into)
        : reader.readSync(cudaStorage(storage), into),
    rangeOf: (storage) => cudaStorage(storage).range,
  };
}
