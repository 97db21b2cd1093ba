import type { Backend } from '../../backend.js';
import { bytesOf, hostArray, hostBuffer, HostStorage } from '../host.js';
import type { Library } from './library.js';

const CACHE_LINE = 64;
/** V8 keeps smaller arrays in its own heap, where they have no fixed address. */
const SMALL = 64;

/** Memory of JavaScript, so that its collector frees what no tensor holds; larger arrays begin at a cache line. */
export function memory(library: Library): Pick<Backend, 'allocate'> {
  return {
    allocate: (dtype, length) => {
      const bytes = length * bytesOf(dtype);
      if (bytes <= SMALL) return new HostStorage(dtype, hostArray(dtype, length));
      const buffer = hostBuffer(bytes + CACHE_LINE);
      const begin = library.place(new Uint8Array(buffer), bytes);
      return new HostStorage(dtype, hostArray(dtype, length, buffer, begin));
    },
  };
}
