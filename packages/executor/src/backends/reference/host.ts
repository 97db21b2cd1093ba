import { ExecutorError } from '../../error.js';
import type { DType, HostArray, Storage } from '../../backend.js';

/** Storage in the memory of JavaScript. */
export class HostStorage<A extends HostArray = HostArray> implements Storage {
  readonly dtype: DType;
  readonly data: A;

  constructor(dtype: DType, data: A) {
    this.dtype = dtype;
    this.data = data;
  }

  get length(): number {
    return this.data.length;
  }
}

export function hostArray(dtype: DType, length: number): HostArray {
  switch (dtype) {
    case 'f32':
      return new Float32Array(length);
    case 'f64':
      return new Float64Array(length);
    case 'i32':
      return new Int32Array(length);
    default:
      throw new ExecutorError(
        'dtype',
        `unknown dtype ${String(dtype satisfies never)}: it is 'f32', 'f64' or 'i32'`,
      );
  }
}

/** The array behind a storage of this backend. */
export function dataOf(storage: Storage): HostArray {
  if (storage instanceof HostStorage) return storage.data;
  throw new ExecutorError('device', 'storage of another device reached the reference backend');
}
