import type { HostArray } from './backend.js';
import { sizeOf, type Shape } from './shape.js';

/** Tensors of more elements are summarised, as in PyTorch: the first and last few of each dimension. */
const SUMMARY_ABOVE = 1000;
const EDGE = 3;

/** Values as nested lists, `[[1, 2], [3, 4]]`, with 7 significant digits in f32 and up to 17 in f64. */
export function showValues(values: HostArray, shape: Shape): string {
  // However many empty rows there are.
  if (values.length === 0) return '[]';
  const digits = values instanceof Float32Array ? 7 : 17;
  const edge = values.length > SUMMARY_ABOVE ? EDGE : Infinity;
  const list = (d: number, at: number): string => {
    const n = shape[d];
    if (n === undefined) {
      const value = values[at]!;
      return Object.is(value, -0) ? '-0' : String(Number(value.toPrecision(digits)));
    }
    const step = sizeOf(shape.slice(d + 1));
    const items: string[] = [];
    for (let i = 0; i < n; i++) {
      if (n > 2 * edge && i === edge) {
        items.push('…');
        i = n - edge;
      }
      items.push(list(d + 1, at + i * step));
    }
    return `[${items.join(', ')}]`;
  };
  return list(0, 0);
}

/** Values as nested arrays; an empty array where there are none. */
export function nestedValues(values: HostArray, shape: Shape): unknown {
  if (values.length === 0) return [];
  const list = (d: number, at: number): unknown => {
    const n = shape[d];
    if (n === undefined) return values[at];
    const step = sizeOf(shape.slice(d + 1));
    return Array.from({ length: n }, (_, i) => list(d + 1, at + i * step));
  };
  return list(0, 0);
}
