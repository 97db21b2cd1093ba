import { affine, embedding, scope, tensor, type Tensor } from '@dag/executor';
import type { Ranks } from './ranks.js';

/** Sums numbers by name over all ranks. All ranks must have the same names in the same order. */
export async function sumByName<N extends object>(numbers: N, ranks: Ranks): Promise<N> {
  const sums = Float64Array.from(Object.values(numbers) as number[]);
  await ranks.sumInPlace(sums);
  return Object.fromEntries(Object.keys(numbers).map((name, i) => [name, sums[i]])) as N;
}

/** Numbers per sum (32 MiB): few waits, and little memory beside the model's. */
const BUCKET = 2 ** 23;

/** A parameter (R, C) whose gradient is zero on all ranks except in `rows` (ascending). */
export interface SparseGradient {
  readonly parameter: Tensor;
  readonly rows: Int32Array;
}

/** Numbers to sum over all ranks: `read` copies them into a buffer, `write` copies the sums back. */
interface Part {
  readonly size: number;
  read(into: Float32Array): void;
  write(sums: Float32Array): void;
}

/**
 * Sums gradients over all ranks. Buffers are reused from step to step: garbage collection on one rank would make all others
 * wait.
 */
export class GradientSums {
  readonly #ranks: Ranks;
  #ranksWith = new Float32Array(0);
  #sums = new Float32Array(0);

  constructor(ranks: Ranks) {
    this.#ranks = ranks;
  }

  /**
   * Finds the rows of an embedding that any rank's texts read, so that only their gradients are sent: a step reads a few
   * hundred of fifty thousand tokens.
   * @param own The rows that this rank's texts read, in any order, with repetitions.
   */
  async sparse(parameter: Tensor, own: Iterable<number>): Promise<SparseGradient> {
    const count = parameter.shape[0]!;
    if (this.#ranksWith.length !== count) this.#ranksWith = new Float32Array(count);
    const ranksWith = this.#ranksWith.fill(0);
    for (const row of own) ranksWith[row] = 1;
    await this.#ranks.sumInPlace(ranksWith);
    const rows: number[] = [];
    for (let row = 0; row < count; row++) if (ranksWith[row]! > 0) rows.push(row);
    return { parameter, rows: Int32Array.from(rows) };
  }

  /**
   * Replaces the gradient of each parameter, and each number of `others`, by its sum over all ranks, in f32: on the GPUs where these can,
   * else through the host. Call it after the backward pass; overlapping the two would not help, as the cores are busy until then.
   */
  async add(
    parameters: Iterable<Tensor>,
    sparse: SparseGradient | null,
    others: Record<string, number>,
  ): Promise<void> {
    const rows = sparse && takeRows(sparse);
    const dense = [...parameters].filter((p) => p !== sparse?.parameter).map((p) => p.grad!);
    const gradients = [...(rows ? [rows.values] : []), ...dense];
    const { gpus } = this.#ranks;
    const inHost = gpus ? [] : gradients.map(partOf);
    await this.#sumInHost([...inHost, numbersOf(others)]);
    // Last: on its stream a GPU waits for the others, and this rank would not come to a sum in the host before.
    gpus?.allReduce(gradients);
    rows?.putBack();
  }

  async #sumInHost(parts: readonly Part[]): Promise<void> {
    for (const bucket of buckets(parts)) {
      const size = bucket.reduce((sum, part) => sum + part.size, 0);
      // With some slack, as the number of embedding rows varies from step to step.
      if (this.#sums.length < size) this.#sums = new Float32Array(Math.ceil(1.25 * size));
      const sums = this.#sums.subarray(0, size);
      let begin = 0;
      for (const part of bucket) part.read(sums.subarray(begin, (begin += part.size)));
      await this.#ranks.sumInPlace(sums);
      begin = 0;
      for (const part of bucket) part.write(sums.subarray(begin, (begin += part.size)));
    }
  }
}

const partOf = (gradient: Tensor): Part => ({
  size: gradient.size,
  read: (into) => gradient.dataSync(into),
  write: (sums) => gradient.set(sums),
});

function numbersOf(numbers: Record<string, number>): Part {
  const names = Object.keys(numbers);
  return {
    size: names.length,
    read: (into) => into.set(names.map((name) => numbers[name]!)),
    write: (sums) => names.forEach((name, i) => (numbers[name] = sums[i]!)),
  };
}

/** Takes the rows out of the gradient of an embedding, where they become 0, to be summed and put back. */
function takeRows({ parameter, rows }: SparseGradient): { readonly values: Tensor; putBack(): void } {
  const index = tensor(rows, [rows.length], { dtype: 'i32', device: parameter.device });
  const values = embedding(parameter.grad!, index);
  const add = (x: () => Tensor): void => scope(() => embedding(parameter, index).backward(x()));
  // To add the differences instead would round differently on each rank.
  add(() => affine(values, -1));
  return {
    values,
    putBack: () => {
      add(() => values);
      values.dispose();
      index.dispose();
    },
  };
}

function buckets(parts: readonly Part[]): Part[][] {
  const all: Part[][] = [];
  let room = 0;
  for (const part of parts) {
    if (room < part.size) {
      all.push([]);
      room = BUCKET;
    }
    all.at(-1)!.push(part);
    room -= part.size;
  }
  return all;
}
