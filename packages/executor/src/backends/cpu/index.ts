import type { Backend } from '../../backend.js';
import { reference } from '../reference/index.js';
import { binary } from './binary.js';
import { dagKernels } from './dag.js';
import { elementwise } from './elementwise.js';
import { indexing } from './indexing.js';
import type { Library } from './library.js';
import { memory } from './memory.js';
import { optimizer } from './optimizer.js';
import { products } from './products.js';
import { rows } from './rows.js';

/** Native kernels on the memory of JavaScript; what no kernel is worth writing for runs as on `reference`. */
export function createCpu(library: Library): Backend {
  return {
    ...reference,
    device: 'cpu',
    ...memory(library),
    ...elementwise(library),
    ...binary(library),
    ...rows(library),
    ...indexing(library),
    ...optimizer(library),
    ...products(library),
    ...dagKernels(library),
  };
}
