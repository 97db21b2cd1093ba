import type { DagFields, FewGraphs } from '../../backend.js';
import { noScratch, type FixedMemory } from './kernels.js';

/**
 * Copies the arrays of a call to memory at a fixed address and back. Copying a few dozen numbers takes less time than passing an array of
 * JavaScript, which V8 may first have to move out of its heap.
 */
export function fewGraphs({ numbers, address, kernel }: FixedMemory): FewGraphs {
  const forward = kernel('dag_f64', 'aaaaaiiiid');
  const backward = kernel('dag_backward_f64', 'aaaaaaaaaaiiiiid');
  const addressOf = (place: number) => address + place * Float64Array.BYTES_PER_ELEMENT;
  /** The address at `place`, 0 where nothing is to be read or written. */
  const addressFor = (array: object | null | undefined, place: number) => (array ? addressOf(place) : 0);
  /** Copies results from `place`; not by `set`, which would need a view of them. */
  const take = (array: Float64Array | undefined, place: number) => {
    if (!array) return;
    const { length } = array;
    for (let i = 0; i < length; i++) array[i] = numbers[place + i]!;
  };
  /** Copies the fields to the first places. */
  const put = ({ V_mag, V_sign, O, G }: DagFields<Float64Array>) => {
    numbers.set(V_mag);
    numbers.set(V_sign, V_mag.length);
    numbers.set(O, 2 * V_mag.length);
    numbers.set(G, 2 * V_mag.length + O.length);
  };
  return {
    holds: (size, { V_mag, O, G }) =>
      size > 0 && 2 * (2 * V_mag.length + O.length + G.length + size) <= numbers.length,
    dag: ({ depth, size, shared, maxLog, inference }, fields, values) => {
      put(fields);
      const sign = fields.V_mag.length;
      const coefficients = 2 * sign;
      const gates = coefficients + fields.O.length;
      const end = gates + fields.G.length;
      const lacksMemory = forward(
        address,
        addressOf(sign),
        addressOf(coefficients),
        addressOf(gates),
        addressOf(end),
        depth,
        size,
        Number(shared),
        Number(inference),
        Math.exp(maxLog),
      );
      if (lacksMemory) throw noScratch('cpu', 'dag');
      take(values, end);
    },
    dagBackward: ({ depth, size, shared, maxLog, inference }, fields, upstream, outputs) => {
      put(fields);
      const sign = fields.V_mag.length;
      const coefficients = 2 * sign;
      const gates = coefficients + fields.O.length;
      const end = gates + fields.G.length;
      if (upstream) numbers.set(upstream, end);
      const values = end + size;
      const gradients = values + size;
      const { V_mag, V_sign, O, G } = outputs;
      const lacksMemory = backward(
        address,
        addressOf(sign),
        addressOf(coefficients),
        addressOf(gates),
        addressFor(upstream, end),
        addressFor(outputs.values, values),
        addressFor(V_mag, gradients),
        addressFor(V_sign, gradients + sign),
        addressFor(O, gradients + coefficients),
        addressFor(G, gradients + gates),
        0,
        depth,
        size,
        Number(shared),
        Number(inference),
        Math.exp(maxLog),
      );
      if (lacksMemory) throw noScratch('cpu', 'dag_backward');
      take(outputs.values, values);
      take(V_mag, gradients);
      take(V_sign, gradients + sign);
      take(O, gradients + coefficients);
      take(G, gradients + gates);
    },
  };
}
