import type { DagTensors } from '@dag/tensorize';

/** The arrays of a plan that may be edited. */
export type Field = 'V_mag' | 'V_sign' | 'O' | 'G';

/** One element of a plan of size 1. */
export interface Part {
  readonly field: Field;
  readonly index: number;
  /** What the page calls it. */
  readonly name: string;
  /** Ends of its slider. */
  readonly least: number;
  readonly most: number;
}

/** Node 0 … 2D − 1 as `n0` or `s0`. */
export const nodeName = (node: number, depth: number): string =>
  node < depth ? `n${node}` : `s${node - depth}`;

/** The elements behind a name of the page: `n0` (magnitude and sign), `s1` (domain), or `s1:3` (coefficient). */
export function partsOf(name: string, { depth, V_mag }: DagTensors): readonly Part[] {
  const [, kind, row, column] = /^([ns])(\d+)(?::(\d+))?$/.exec(name) ?? [];
  const i = Number(row);
  if (kind === undefined || i >= depth) return [];
  if (kind === 'n') {
    const most = Math.max(10, 2 * V_mag[i]!);
    return [
      { field: 'V_mag', index: i, name: `Magnitude of n${i}`, least: 0, most },
      { field: 'V_sign', index: i, name: `Sign of n${i}`, least: -1, most: 1 },
    ];
  }
  if (column === undefined) return [{ field: 'G', index: i, name: `Domain of s${i}`, least: 0, most: 1 }];
  const j = Number(column);
  if (j >= depth + i) return [];
  const coefficient = `Coefficient of ${nodeName(j, depth)} in s${i}`;
  return [{ field: 'O', index: 2 * depth * i + j, name: coefficient, least: -3, most: 3 }];
}

/** A copy of a plan with another value in one element. */
export function withPart(tensors: DagTensors, { field, index }: Part, value: number): DagTensors {
  const changed = tensors[field].slice();
  changed[index] = value;
  return { ...tensors, [field]: changed };
}

/** Why an element cannot have a value; null where it can. */
export function refusalOfValue({ field }: Part, text: string): string | null {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) return 'A finite number, such as 2.5.';
  if (field === 'V_mag' && value < 0) return 'A magnitude is 0 or more; the sign stands below.';
  if (field === 'V_sign' && Math.abs(value) > 1) return 'A sign is between −1 and 1.';
  if (field === 'G' && (value < 0 || value > 1)) return 'A domain is between 0 (log) and 1 (linear).';
  return null;
}
