import type { DagTensors } from './dag-tensors.js';
import { firstAppearance, isIdentity, readingOrder, readPlan, type PlanStep, type Term } from './plan.js';

/** Lines are wrapped at this many columns. */
const WIDTH = 80;

/**
 * Graph `index` as text, one step a line, wrapped at 80 columns. Nodes and steps that the value does not depend on are left
 * out, and so are identity steps.
 *
 * Any plan can be described, soft ones as well: coefficients and domains that are not whole have three decimals (`√` in place of
 * `^0.500`), a step between the domains is the weighted sum of its linear and its log part, and a number with a soft sign s is written
 * `s·magnitude`. Parts that round to 0.000 are left out; `≈` in place of `=` marks such a step.
 *
 * @example
 * describe(tensorize('2.5 * 3 + 1', { depth: 8 }))
 * // n0 = 2.5   n1 = 3   n2 = 1
 * // s0 = n0 × n1
 * // s1 = s0 + n2
 * // value = s1
 *
 * @throws TensorizeError `bad-tensors` where lengths are not the format's, `bad-option` for the index
 */
export function describe(tensors: DagTensors, index = 0): string {
  const { initial, steps } = readPlan(tensors, index);
  const { depth } = tensors;
  const names: string[] = [];
  const appearance: number[] = [];
  const numbers = initial.map((node) => {
    names[node] = `n${node}`;
    appearance[node] = node;
    return `n${node} = ${numberText(tensors, index * 2 * depth + node)}`;
  });

  const lines = wrap(numbers, '   ', '');
  for (const step of steps) {
    const node = depth + step.index;
    appearance[node] = firstAppearance(step, appearance);
    const constant = constantText(step);
    if (isIdentity(step)) {
      names[node] = names[step.terms[0]!.node]!;
    } else if (constant !== undefined) {
      names[node] = constant;
    } else {
      const { exact, pieces } = stepText(step, names, appearance);
      names[node] = `s${step.index}`;
      lines.push(...wrap([`${names[node]} ${exact ? '=' : '≈'}`, ...pieces], ' ', '     '));
    }
  }
  lines.push(`value = ${names[2 * depth - 1]}`);
  return lines.join('\n');
}

function numberText({ V_mag, V_sign }: DagTensors, at: number): string {
  const magnitude = V_mag[at]!;
  const sign = V_sign[at]!;
  if (sign !== 1 && sign !== -1) return `${rounded(sign)}·${magnitude}`;
  return `${sign < 0 ? '-' : ''}${magnitude}`;
}

/** The value of a hard step without operands: an empty sum is 0, an empty product 1. undefined for other steps. */
function constantText({ gate, terms }: PlanStep): string | undefined {
  if (terms.length > 0) return undefined;
  return gate === 1 ? '0' : gate === 0 ? '1' : undefined;
}

/** The right side of a step, cut where a line may break; `exact` is false where parts were left out. */
function stepText(
  { gate, terms }: PlanStep,
  names: readonly string[],
  appearance: readonly number[],
): { exact: boolean; pieces: string[] } {
  const shown = terms.filter(({ coefficient }) => !vanishes(coefficient));
  const linear = linearPieces(readingOrder(shown, appearance), names);
  const log = logPieces(shown, names, appearance);
  const exact = shown.length === terms.length;
  if (vanishes(1 - gate)) return { exact: exact && gate === 1, pieces: linear };
  if (vanishes(gate)) return { exact: exact && gate === 0, pieces: log };
  return {
    exact,
    pieces: [...bracketed(`${rounded(gate)}·(`, linear), ...bracketed(`+ ${rounded(1 - gate)}·(`, log)],
  };
}

function linearPieces(terms: readonly Term[], names: readonly string[]): string[] {
  if (terms.length === 0) return ['0'];
  return terms.map(({ node, coefficient }, i) => {
    const size = Math.abs(coefficient);
    const term = size === 1 ? names[node]! : `${rounded(size)}·${names[node]}`;
    const minus = coefficient < 0;
    if (i === 0) return minus ? `−${term}` : term;
    return `${minus ? '−' : '+'} ${term}`;
  });
}

function logPieces(
  terms: readonly Term[],
  names: readonly string[],
  appearance: readonly number[],
): string[] {
  const power = ({ node, coefficient }: Term): string => {
    const size = Math.abs(coefficient);
    if (size === 0.5) return `√${names[node]}`;
    return size === 1 ? names[node]! : `${names[node]}^${rounded(size)}`;
  };
  const factors = readingOrder(
    terms.filter(({ coefficient }) => !(coefficient < 0)),
    appearance,
  ).map((term, i) => (i === 0 ? power(term) : `× ${power(term)}`));
  const divisors = terms.filter(({ coefficient }) => coefficient < 0).map((term) => `÷ ${power(term)}`);
  return [...(factors.length > 0 ? factors : ['1']), ...divisors];
}

const vanishes = (coefficient: number): boolean => Math.abs(coefficient) < 0.0005;

const rounded = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(3));

function bracketed(open: string, pieces: readonly string[]): string[] {
  return pieces.map((piece, i) => (i === 0 ? open : '') + piece + (i === pieces.length - 1 ? ')' : ''));
}

function wrap(pieces: readonly string[], separator: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of pieces) {
    if (line !== '' && line.length + separator.length + piece.length > WIDTH) {
      lines.push(line);
      line = indent + piece;
    } else {
      line += (line === '' ? '' : separator) + piece;
    }
  }
  return line === '' ? lines : [...lines, line];
}
