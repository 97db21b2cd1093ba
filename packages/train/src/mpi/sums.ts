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

/** Numbers that are summed over all ranks where they are. */
interface Part {
  readonly size: number;
  read(into: Float32Array): void;
  write(sums: Float32Array): void;
}

/**
 * Sums over all ranks. What it needs in each step is kept from one to the next: memory that the collector has to come for makes all
 * ranks wait for the one where it does.
 */
export class GradientSums {
  readonly #communicator: Communicator;
  #ranksWith = new Float32Array(0);
  #sums = new Float32Array(0);

  constructor(communicator: Communicator) {
    this.#communicator = communicator;
  }

  /**
   * The gradient of an embedding whose rows `own` this rank's texts read, in any order and any number of times: of fifty
   * thousand tokens a step reads some hundred, and the others need not be sent.
   */
  async sparse(parameter: Tensor, own: Iterable<number>): Promise<SparseGradient> {
    const count = parameter.shape[0]!;
    if (this.#ranksWith.length !== count) this.#ranksWith = new Float32Array(count);
    const ranksWith = this.#ranksWith.fill(0);
    for (const row of own) ranksWith[row] = 1;
    await this.#communicator.sumInPlace(ranksWith);
    const rows: number[] = [];
    for (let row = 0; row < count; row++) if (ranksWith[row]! > 0) rows.push(row);
    return { parameter, rows: Int32Array.from(rows) };
  }

  /**
   * Makes each gradient its sum over all ranks, of which every parameter has one, and so the numbers of `others`, in f32. It
   * begins when the backward pass is through: the cores are busy until then.
   */
  async add(
    parameters: Iterable<Tensor>,
    sparse: SparseGradient | null,
    others: Record<string, number>,
  ): Promise<void> {
    const dense = [...parameters].filter((p) => p !== sparse?.parameter).map((p) => whole(p.grad!));
    const parts = [...(sparse ? [rowsOf(sparse)] : []), ...dense, numbersOf(others)];
    for (const bucket of buckets(parts)) {
      const size = bucket.reduce((sum, part) => sum + part.size, 0);
      // The rows of an embedding are more in one step than in another.
      if (this.#sums.length < size) this.#sums = new Float32Array(Math.ceil(1.25 * size));
      const sums = this.#sums.subarray(0, size);
      let begin = 0;
      for (const part of bucket) part.read(sums.subarray(begin, (begin += part.size)));
      await this.#communicator.sumInPlace(sums);
      begin = 0;
      for (const part of bucket) part.write(sums.subarray(begin, (begin += part.size)));
    }
  }
}

const whole = (gradient: Tensor): Part => ({
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

function rowsOf({ parameter, rows }: SparseGradient): Part {
  const shape = [rows.length, parameter.shape[1]!] as const;
  const { device } = parameter;
  const index = tensor(rows, [rows.length], { dtype: 'i32', device });
  const own = embedding(parameter.grad!, index);
  return {
    size: own.size,
    read: (into) => own.dataSync(into),
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
