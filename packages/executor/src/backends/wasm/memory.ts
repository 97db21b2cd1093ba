import type { Backend, DType, HostArray } from '../../backend.js';
import { ArrayStorage, bytesOf, hostArray } from '../host.js';
import type { WasmKernels } from './instance.js';

/** Storage in the memory of WebAssembly, of which it makes a new view whenever that has grown. */
class WasmStorage extends ArrayStorage {
  readonly dtype: DType;
  readonly length: number;
  readonly block: { address: number };
  readonly #kernels: WasmKernels;
  #view: HostArray;

  constructor(dtype: DType, length: number, kernels: WasmKernels) {
    super();
    this.dtype = dtype;
    this.length = length;
    this.#kernels = kernels;
    this.block = { address: kernels.allocate(length * bytesOf(dtype)) };
    this.#view = this.#viewed();
  }

  get data(): HostArray {
    if (this.#view.buffer !== this.#kernels.buffer) this.#view = this.#viewed();
    return this.#view;
  }

  #viewed(): HostArray {
    return hostArray(this.dtype, this.length, this.#kernels.buffer, this.block.address);
  }
}

/** Memory that is given back when it is freed, or when JavaScript has collected its storage. */
export function memory(kernels: WasmKernels): Pick<Backend, 'allocate' | 'free' | 'share'> {
  const giveBack = (block: { address: number }): void => {
    if (block.address !== 0) kernels.free(block.address);
    // Of a storage that is freed twice nothing is left.
    block.address = 0;
  };
  const registry = new FinalizationRegistry(giveBack);
  return {
    allocate: (dtype, length) => {
      const storage = new WasmStorage(dtype, length, kernels);
      registry.register(storage, storage.block, storage);
      return storage;
    },
    free: (storage) => {
      if (!(storage instanceof WasmStorage)) return;
      registry.unregister(storage);
      giveBack(storage.block);
    },
    share: () => null,
  };
}
