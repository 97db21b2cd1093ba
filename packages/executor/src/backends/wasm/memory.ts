import type { Backend, DType, HostArray } from '../../backend.js';
import { ArrayStorage, bytesOf, hostArray, type Block } from '../host.js';
import { sizeClass } from '../../size-class.js';
import type { WasmKernels } from './instance.js';

/** Storage in the memory of WebAssembly; makes a new view when that memory has grown. */
class WasmStorage extends ArrayStorage {
  readonly dtype: DType;
  readonly length: number;
  readonly block: WasmBlock;
  readonly #kernels: WasmKernels;
  #view: HostArray;

  constructor(dtype: DType, length: number, block: WasmBlock, kernels: WasmKernels) {
    super();
    this.dtype = dtype;
    this.length = length;
    this.block = block;
    this.#kernels = kernels;
    this.#view = this.#viewed();
  }

  get capacity(): number {
    return this.block.bytes;
  }

  get data(): HostArray {
    if (this.#view.buffer !== this.#kernels.buffer) this.#view = this.#viewed();
    return this.#view;
  }

  #viewed(): HostArray {
    return hostArray(this.dtype, this.length, this.#kernels.buffer, this.block.address);
  }
}

/** A block of the memory of WebAssembly. */
interface WasmBlock extends Block {
  /** 0 after it was freed. */
  address: number;
  readonly bytes: number;
}

/** Allocation. A block is given back when its storage is freed, or collected by JavaScript. */
export function memory(kernels: WasmKernels): Pick<Backend, 'allocate' | 'reuse' | 'free' | 'share'> {
  const giveBack = (block: WasmBlock): void => {
    if (block.address !== 0) kernels.free(block.address);
    // Freeing a storage twice does nothing.
    block.address = 0;
  };
  const registry = new FinalizationRegistry((block: WasmBlock) => {
    // A recording may still work in the block of a collected storage.
    if (block.arena) block.arena.abandon(() => giveBack(block));
    else giveBack(block);
  });
  const storageIn = (block: WasmBlock, dtype: DType, length: number): WasmStorage => {
    const storage = new WasmStorage(dtype, length, block, kernels);
    registry.register(storage, block, storage);
    return storage;
  };
  return {
    allocate: (dtype, length) => {
      const bytes = sizeClass(length * bytesOf(dtype));
      return storageIn({ address: kernels.allocate(bytes), bytes }, dtype, length);
    },
    reuse: (storage, dtype, length) => {
      const { block } = storage as WasmStorage;
      registry.unregister(storage);
      return storageIn(block, dtype, length);
    },
    free: (storage) => {
      if (!(storage instanceof WasmStorage)) return;
      registry.unregister(storage);
      giveBack(storage.block);
    },
    share: () => null,
  };
}
