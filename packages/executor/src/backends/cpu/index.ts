import type { Backend } from '../../backend.js';
import { reference } from '../reference/index.js';
import { binary } from './binary.js';
import { dagKernels } from './dag.js';
import { elementwise } from './elementwise.js';
import type { Library } from './library.js';
import { products } from './products.js';
import { memory } from './memory.js';

/** Native kernels on the memory of JavaScript; what no kernel is worth writing for runs as on `reference`. */
export function createCpu(library: Library): Backend {
  return {
    ...reference,
    device: 'cpu',
    ...memory(library),
    ...elementwise(library),
    ...binary(library),
    ...products(library),
    ...dagKernels(library),
  };
}
