import type { Backend } from '../../backend.js';
import { bytesOf, dataOf, hostArray, HostStorage } from '../host.js';
import type { Library } from './library.js';

const CACHE_LINE = 64;
/** V8 keeps smaller arrays in its own heap, where they have no fixed address. */
const SMALL = 64;

/** Memory of JavaScript, so that its collector frees what no tensor holds; larger arrays begin at a cache line. */
export function memory(
  library: Library,
): Pick<Backend, 'allocate' | 'free' | 'write' | 'read' | 'readSync' | 'fill'> {
  const fillF32 = library.kernel('fill_f32', 'pid');
  const fillF64 = library.kernel('fill_f64', 'pid');
  return {
    allocate: (dtype, length) => {
      const bytes = length * bytesOf(dtype);
      if (bytes <= SMALL) return new HostStorage(dtype, hostArray(dtype, length));
      const buffer = new ArrayBuffer(bytes + CACHE_LINE);
      const begin = library.place(new Uint8Array(buffer));
      return new HostStorage(dtype, hostArray(dtype, length, buffer, begin));
    },
    free: () => undefined,
    write: (storage, data) => dataOf(storage).set(data),
    read: (storage) => Promise.resolve(dataOf(storage).slice()),
    readSync: (storage) => dataOf(storage).slice(),
    fill: (y, value) => {
      const data = dataOf(y);
      if (data instanceof Float32Array) fillF32(data, data.length, value);
      else if (data instanceof Float64Array) fillF64(data, data.length, value);
      else data.fill(value);
    },
  };
}
