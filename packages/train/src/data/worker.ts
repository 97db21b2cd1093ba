import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { carryingErrors } from './carry-error.js';
import { trainingBatch, type Batch, type StreamConfig } from './stream.js';

/** One thread of the stream: batch `index` of the configuration that the pool was made with; moved, not copied. */
export default carryingErrors((index): unknown => {
  const batch = trainingBatch(workerData as StreamConfig, index);
  return move({ [valueSymbol]: batch, [transferableSymbol]: buffersOf(batch) });
});

function buffersOf({ tokens, valid, plan, values, registers }: Batch): ArrayBufferLike[] {
  const arrays = [
    tokens,
    valid,
    values,
    plan.V_mag,
    plan.V_sign,
    plan.O,
    plan.G,
    ...Object.values(registers),
  ];
  return arrays.map((array: ArrayBufferView) => array.buffer);
}
