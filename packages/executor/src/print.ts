import type { HostArray } from './backend.js';
import { sizeOf, type Shape } from './shape.js';

/** Tensors of more elements are summarised, as in PyTorch: the first and last few of each dimension. */
const SUMMARY_ABOVE = 1000;
const EDGE = 3;

/** Width of a line, as of a terminal. */
const LINE = 80;

/**
 * Values as nested lists, `[[1, 2],` and below it `[3, 4]]`, with 7 significant digits in f32 and up to 17 in f64: each row on a line
 * of its own, numbers of one width below each other, an empty line between matrices. Lines after the first begin with `indent` blanks.
 */
export function showValues(values: HostArray, shape: Shape, indent: number): string {
  // However many empty rows there are.
  if (values.length === 0) return '[]';
  const digits = values instanceof Float32Array ? 7 : 17;
  const edge = values.length > SUMMARY_ABOVE ? EDGE : Infinity;
  const rank = shape.length;
  let width = 0;
  const number = (at: number): string => {
    const value = values[at]!;
    const text = Object.is(value, -0) ? '-0' : String(Number(value.toPrecision(digits)));
    width = Math.max(width, text.length);
    return text.padStart(width);
  };
  const list = (d: number, at: number): string => {
    if (d === rank) return number(at);
    const n = shape[d]!;
    const step = sizeOf(shape.slice(d + 1));
    const items: string[] = [];
    for (let i = 0; i < n; i++) {
      if (n > 2 * edge && i === edge) {
        items.push('…');
        i = n - edge;
      }
      items.push(list(d + 1, at + i * step));
    }
    const margin = ' '.repeat(indent + d + 1);
    if (d < rank - 1) return `[${items.join(`,${'\n'.repeat(rank - 1 - d)}${margin}`)}]`;
    const lines = [''];
    for (const [i, item] of items.entries()) {
      const said = i < items.length - 1 ? `${item},` : item;
      if (lines.at(-1) !== '' && margin.length + lines.at(-1)!.length + said.length >= LINE) lines.push('');
      lines[lines.length - 1] += lines.at(-1) === '' ? said : ` ${said}`;
    }
    return `[${lines.join(`\n${margin}`)}]`;
  };
  // Once to find the width.
  list(0, 0);
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
