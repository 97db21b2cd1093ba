import type { Backend } from '../../backend.js';
import { reference } from '../reference/index.js';
import { binary } from './binary.js';
import { copies } from './copies.js';
import { dagKernels } from './dag.js';
import { elementwise } from './elementwise.js';
import { indexing } from './indexing.js';
import type { KernelLibrary } from './kernels.js';
import { optimizer } from './optimizer.js';
import { products } from './products.js';
import { rows } from './rows.js';

/** The kernels of kernels/cpu on storage that JavaScript can read as an array. Methods without such a kernel are those of `reference`. */
export const cppKernels = (library: KernelLibrary): Omit<Backend, 'device'> => ({
  ...reference,
  ...copies(library),
  ...elementwise(library),
  ...binary(library),
  ...rows(library),
  ...indexing(library),
  ...optimizer(library),
  ...products(library),
  ...dagKernels(library),
});
