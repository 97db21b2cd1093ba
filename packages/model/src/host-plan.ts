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

/** Fields of several parts one after another. Parts have the same fields. */
export function joined<T extends object>(
  parts: readonly { readonly [K in keyof T]: Float64Array }[],
): { readonly [K in keyof T]: Float64Array } {
  const field = (name: keyof T): Float64Array => {
    const all = new Float64Array(parts.reduce((n, part) => n + part[name].length, 0));
    let at = 0;
    for (const { [name]: part } of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
  const names = Object.keys(parts[0]!) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, field(name)])) as { [K in keyof T]: Float64Array };
}
