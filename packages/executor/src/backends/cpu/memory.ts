import type { Backend } from '../../backend.js';
import { sizeClass } from '../../size-class.js';
import { allocateOnHost, bytesOf, hostArray, hostBuffer, HostStorage } from '../host.js';
import type { Library } from './library.js';

const CACHE_LINE = 64;

/** Allocation in JavaScript's memory, which its garbage collector frees; larger arrays begin at a cache line. */
export function memory(library: Library): Pick<Backend, 'allocate'> {
  return {
    allocate: (dtype, length) => {
      const capacity = sizeClass(length * bytesOf(dtype));
      if (capacity <= CACHE_LINE) return allocateOnHost(dtype, length);
      const buffer = hostBuffer(capacity + CACHE_LINE);
      // Passes the address alone: Node 20 has no Uint8Array of more than 4 GiB.
      const begin = library.place(new Uint8Array(buffer, 0, CACHE_LINE), capacity);
      return new HostStorage(dtype, hostArray(dtype, length, buffer, begin), capacity);
    },
  };
}
