import { embedding, scope, tensor, type Tensor } from '@dag/executor';
import type { Communicator } from './communicator.js';

/** Numbers by name, each the sum over all ranks, which have the same names in the same order. */
export async function sumByName<N extends object>(numbers: N, communicator: Communicator): Promise<N> {
  const sums = Float64Array.from(Object.values(numbers) as number[]);
  await communicator.sumInPlace(sums);
  return Object.fromEntries(Object.keys(numbers).map((name, i) => [name, sums[i]])) as N;
}

/** Gradients are summed by as many numbers at a time, 32 MiB: few waits, and little memory beside the model's. */
const BUCKET = 2 ** 23;

/** A parameter (R, C) of whose gradient all rows are zero but those that this rank names, in any order and any number of times. */
export interface SparseGradient {
  readonly parameter: Tensor;
  readonly rows: Iterable<number>;
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
  if (sparse) await sumRows(sparse, communicator);
  const dense = [...parameters].filter((p) => p !== sparse?.parameter).map((p) => p.grad!);
  for (const bucket of buckets(dense)) {
    const sums = new Float32Array(bucket.reduce((size, gradient) => size + gradient.size, 0));
    let begin = 0;
    for (const gradient of bucket) {
      sums.set(gradient.dataSync(), begin);
      begin += gradient.size;
    }
    await communicator.sumInPlace(sums);
    begin = 0;
    for (const gradient of bucket) gradient.set(sums.subarray(begin, (begin += gradient.size)));
  }
}

/** Of an embedding of fifty thousand tokens a step reads some hundred: the others are not sent. */
async function sumRows({ parameter, rows }: SparseGradient, communicator: Communicator): Promise<void> {
  const { shape, device } = parameter;
  const [count, width] = shape as [number, number];
  const ranksWith = new Float32Array(count);
  for (const row of rows) ranksWith[row] = 1;
  await communicator.sumInPlace(ranksWith);
  const used = Int32Array.from(ranksWith.keys()).filter((row) => ranksWith[row]! > 0);
  const index = (): Tensor => tensor(used, [used.length], { dtype: 'i32', device });
  const sums = Float32Array.from(scope(() => embedding(parameter.grad!, index()).dataSync()));
  await communicator.sumInPlace(sums);
  scope(() => {
    parameter.zeroGrad();
    embedding(parameter, index()).backward(tensor(sums, [used.length, width], { device }));
  });
}

function buckets(gradients: readonly Tensor[]): Tensor[][] {
  const all: Tensor[][] = [];
  let room = 0;
  for (const gradient of gradients) {
    if (room < gradient.size) {
      all.push([]);
      room = BUCKET;
    }
    all.at(-1)!.push(gradient);
    room -= gradient.size;
  }
  return all;
}
