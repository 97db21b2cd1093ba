import type { Backend } from '../../backend.js';
import { dataOf } from '../host.js';
import { reference } from '../reference/index.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';

/** Gather, embedding and running sums. */
export function indexing(
  library: KernelLibrary,
): Pick<Backend, 'gather' | 'gatherBackward' | 'embedding' | 'embeddingBackward' | 'cumsum'> {
  const gather = precisions(library, 'gather', 'pppii');
  const gatherBackward = precisions(library, 'gather_backward', 'pppiii');
  const embedding = precisions(library, 'embedding', 'pppii');
  const embeddingBackward = precisions(library, 'embedding_backward', 'pppiiii');
  const cumsum = precisions(library, 'cumsum', 'ppiiiii');
  return {
    gather: (x, index, y, n) => gather[precisionOf(y)](dataOf(x), dataOf(index), dataOf(y), y.length, n),
    gatherBackward: (index, gradY, { storage, accumulate }, n) =>
      gatherBackward[precisionOf(gradY)](
        dataOf(index),
        dataOf(gradY),
        dataOf(storage),
        gradY.length,
        n,
        Number(accumulate),
      ),
    embedding: (table, index, y, n) =>
      embedding[precisionOf(y)](dataOf(table), dataOf(index), dataOf(y), index.length, n),
    embeddingBackward: (index, gradY, gradTable, n) => {
      const { storage, accumulate } = gradTable;
      if (n === 0) return reference.embeddingBackward(index, gradY, gradTable, n);
      embeddingBackward[precisionOf(gradY)](
        dataOf(index),
        dataOf(gradY),
        dataOf(storage),
        storage.length / n,
        index.length,
        n,
        Number(accumulate),
      );
    },
    cumsum: (x, { storage, accumulate }, outer, n, inner, reverse) =>
      cumsum[precisionOf(x)](
        dataOf(x),
        dataOf(storage),
        outer,
        n,
        inner,
        Number(reverse),
        Number(accumulate),
      ),
  };
}
