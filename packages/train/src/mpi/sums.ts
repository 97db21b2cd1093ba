import { affine, embedding, scope, tensor, type Tensor } from '@dag/executor';
import type { Communicator } from './communicator.js';

/** Numbers by name, each the sum over all ranks, which have the same names in the same order. */
export async function sumByName<N extends object>(numbers: N, communicator: Communicator): Promise<N> {
  const sums = Float64Array.from(Object.values(numbers) as number[]);
  await communicator.sumInPlace(sums);
  return Object.fromEntries(Object.keys(numbers).map((name, i) => [name, sums[i]])) as N;
}

/** Gradients are summed by as many numbers at a time, 32 MiB: few waits, and little memory beside the model's. */
const BUCKET = 2 ** 23;

/** A parameter (R, C) of whose gradient all rows are zero but those that some rank names, ascending. */
export interface SparseGradient {
  readonly parameter: Tensor;
  readonly rows: Int32Array;
}

/**
 * The gradient of an embedding whose rows `own` this rank's texts read, in any order and any number of times: of fifty thousand
 * tokens a step reads some hundred, and the others need not be sent.
 */
export async function sparseGradient(
  parameter: Tensor,
  own: Iterable<number>,
  communicator: Communicator,
): Promise<SparseGradient> {
  const ranksWith = new Float32Array(parameter.shape[0]!);
  for (const row of own) ranksWith[row] = 1;
  await communicator.sumInPlace(ranksWith);
  const rows: number[] = [];
  ranksWith.forEach((count, row) => {
    if (count > 0) rows.push(row);
  });
  return { parameter, rows: Int32Array.from(rows) };
}

/** Numbers of a gradient that are summed over all ranks. */
interface Part {
  readonly size: number;
  read(): ArrayLike<number>;
  write(sums: Float32Array): void;
}

/**
 * Makes each gradient its sum over all ranks; every parameter has one. It begins when the backward pass is through: the cores
 * are busy until then.
 */
export async function sumGradients(
  parameters: Iterable<Tensor>,
  sparse: SparseGradient | null,
  communicator: Communicator,
): Promise<void> {
  if (communicator.size === 1) return;
  const dense = [...parameters].filter((p) => p !== sparse?.parameter).map((p) => whole(p.grad!));
  for (const bucket of buckets(sparse ? [rowsOf(sparse), ...dense] : dense)) {
    const sums = new Float32Array(bucket.reduce((size, part) => size + part.size, 0));
    let begin = 0;
    for (const part of bucket) {
      sums.set(part.read(), begin);
      begin += part.size;
    }
    await communicator.sumInPlace(sums);
    begin = 0;
    for (const part of bucket) part.write(sums.subarray(begin, (begin += part.size)));
  }
}

const whole = (gradient: Tensor): Part => ({
  size: gradient.size,
  read: () => gradient.dataSync(),
  write: (sums) => gradient.set(sums),
});

function rowsOf({ parameter, rows }: SparseGradient): Part {
  const shape = [rows.length, parameter.shape[1]!] as const;
  const { device } = parameter;
  const index = tensor(rows, [rows.length], { dtype: 'i32', device });
  const own = embedding(parameter.grad!, index);
  return {
    size: own.size,
    read: () => own.dataSync(),
    write: (sums) => {
      scope(() => {
        // To zero, and from there to the sums: adding what is missing would round, on each rank otherwise.
        embedding(parameter, index).backward(affine(own, -1));
        embedding(parameter, index).backward(tensor(sums, shape, { device }));
      });
      own.dispose();
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
