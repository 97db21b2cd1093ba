import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { carryingErrors } from '../workers/carry-error.js';
import { trainingBatch, type StreamConfig, type TextBatch } from './stream.js';

const { stream, plans } = workerData as { readonly stream: StreamConfig; readonly plans: boolean };

/** Worker thread: makes batch `index` of the stream in `workerData`. Its buffers are moved to the main thread, not copied. */
export default carryingErrors((index): unknown => {
  const batch = trainingBatch(stream, index, plans);
  return move({ [valueSymbol]: batch, [transferableSymbol]: buffersOf(batch) });
});

function buffersOf({ tokens, valid, decided, plan, values, decisions }: TextBatch): ArrayBufferLike[] {
  const ofPlans = plan && values ? [values, plan.V_mag, plan.V_sign, plan.O, plan.G] : [];
  const arrays = [tokens, valid, decided, ...ofPlans, ...Object.values(decisions)];
  return arrays.map((array: ArrayBufferView) => array.buffer);
}
