import type { DagTensorFields, Tensor } from '@dag/executor';
import type { DagTensors } from '@dag/tensorize';

/** Fields read from their device. */
export function onHost<T extends object>(fields: T): { readonly [K in keyof T]: Float64Array } {
  const read = Object.entries(fields).map(([name, x]: [string, Tensor]) => [
    name,
    Float64Array.from(x.dataSync()),
  ]);
  return Object.fromEntries(read) as { readonly [K in keyof T]: Float64Array };
}

/** Plans (N, …) read from their device, as `DagTensors` of size N. */
export function hostPlan({ V_mag, V_sign, O, G }: DagTensorFields, depth: number): DagTensors {
  return { depth, size: G.size / depth, ...onHost({ V_mag, V_sign, O, G }) };
}
