import { ModelError } from '../error.js';

/** The coefficient of an operand in a step: added or multiplied, or subtracted or divided by. */
export type Coefficient = 1 | -1;

/** What a plan is made of: a number of the text, a constant, or a sum or product of such, each with a whole coefficient other than 0. */
export type Term =
  | { readonly kind: 'number'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number }
  | Group;
/** A sum or a product: its parts, each with how often it is added or multiplied; less than 0: subtracted or divided by. */
export interface Group {
  readonly kind: 'sum' | 'product';
  readonly terms: readonly (readonly [Term, number])[];
}

/** A step of a plan: a sum or a product of operands. */
export interface Step {
  readonly kind: 'sum' | 'product';
  readonly terms: readonly (readonly [Operand, Coefficient])[];
}
/** A number of the text, a constant, or the result of an earlier step. */
export type Operand =
  | { readonly kind: 'number'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'step'; readonly index: number };

/** The same text for equal terms, whatever the order of their operands. */
export function keyOf(term: Term): string {
  if (term.kind === 'number') return `n${term.index}`;
  if (term.kind === 'constant') return `c${term.value}`;
  const parts = term.terms.map(([part, count]) => `${count}${keyOf(part)}`).sort();
  return `${term.kind === 'sum' ? '+' : '*'}(${parts.join(' ')})`;
}

const OPERATORS: Readonly<Record<string, readonly [Group['kind'], Coefficient]>> = {
  '+': ['sum', 1],
  '-': ['sum', -1],
  '*': ['product', 1],
  '/': ['product', -1],
};

/**
 * Reads an equation in prefix form, such as `- number0 number1` or `* 0.01 + number0 number1`: sums of sums and products of products become one
 * group, so that equal equations give equal terms (`keyOf`).
 *
 * @throws {ModelError} `bad-input` for what is no such equation.
 */
export function readEquation(tokens: readonly string[]): Term {
  let at = 0;
  const bad = (what: string): ModelError =>
    new ModelError('bad-input', `'${tokens.join(' ')}' is no equation in prefix form: ${what}`);
  const read = (): Term => {
    const token = tokens[at++];
    if (token === undefined) throw bad('it ends too early');
    const operator = OPERATORS[token];
    if (operator) return group(operator[0], read(), [read(), operator[1]]);
    const number = /^number(\d+)$/.exec(token);
    if (number) return { kind: 'number', index: Number(number[1]) };
    const value = Number(token);
    if (token === '' || !Number.isFinite(value)) throw bad(`'${token}' is no operator, number or constant`);
    return { kind: 'constant', value };
  };
  const term = read();
  if (at < tokens.length) throw bad('something follows it');
  return term;
}

/** `left` and ± `right` as one group, with the parts of groups of the same kind as its own. */
function group(kind: Group['kind'], left: Term, [right, sign]: readonly [Term, Coefficient]): Group {
  const counts = new Map<string, [Term, number]>();
  const put = (term: Term, count: number): void => {
    const key = keyOf(term);
    const known = counts.get(key);
    counts.set(key, [term, (known?.[1] ?? 0) + count]);
  };
  for (const [term, count] of [
    [left, 1],
    [right, sign],
  ] as const)
    if (term.kind === kind) for (const [part, n] of term.terms) put(part, n * count);
    else put(term, count);
  const terms = [...counts]
    .filter(([, [, count]]) => count !== 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, term]) => term);
  return { kind, terms };
}

/** The numbers of a term, in the order in which they are met first. */
export function numbersOf(term: Term): number[] {
  const found = new Set<number>();
  const visit = (part: Term): void => {
    if (part.kind === 'number') found.add(part.index);
    else if (part.kind !== 'constant') for (const [inner] of part.terms) visit(inner);
  };
  visit(term);
  return [...found];
}

/** A term with number i in the place of number `to[i]`. */
export function withNumbers(term: Term, to: (index: number) => number): Term {
  if (term.kind === 'number') return { kind: 'number', index: to(term.index) };
  if (term.kind === 'constant') return term;
  const terms = term.terms.map(([part, count]) => [withNumbers(part, to), count] as const);
  return { kind: term.kind, terms: terms.sort(([a], [b]) => (keyOf(a) < keyOf(b) ? -1 : 1)) };
}

/** The steps that compute a term, the last one its value: operands before what reads them, in the order of the numbers of the text. */
export function stepsOf(term: Term): Step[] {
  const steps: Step[] = [];
  const known = new Map<string, Operand>();
  const emit = (kind: Step['kind'], terms: Step['terms']): Operand => {
    const key = JSON.stringify([kind, terms]);
    let operand = known.get(key);
    if (!operand) {
      steps.push({ kind, terms });
      operand = { kind: 'step', index: steps.length - 1 };
      known.set(key, operand);
    }
    return operand;
  };
  const first = (part: Term): number =>
    part.kind === 'number'
      ? part.index
      : part.kind === 'constant'
        ? 50
        : Math.min(99, ...part.terms.map(([t]) => first(t)));
  const visit = (part: Term): Operand => {
    if (part.kind === 'number' || part.kind === 'constant') return part;
    const terms: [Operand, Coefficient][] = [];
    for (const [inner, count] of [...part.terms].sort(([a], [b]) => first(a) - first(b))) {
      const operand = visit(inner);
      const sign: Coefficient = count > 0 ? 1 : -1;
      const times = Math.abs(count);
      if (times === 1) terms.push([operand, sign]);
      else if (part.kind === 'sum')
        terms.push([
          emit('product', [
            [operand, 1],
            [{ kind: 'constant', value: times }, 1],
          ]),
          sign,
        ]);
      else {
        // A power: the operand and copies of it.
        let copy = operand;
        terms.push([operand, sign]);
        for (let i = 1; i < times; i++) {
          copy = emit('sum', [[copy, 1]]);
          terms.push([copy, sign]);
        }
      }
    }
    return emit(part.kind, terms);
  };
  if (term.kind === 'number' || term.kind === 'constant') emit('sum', [[term, 1]]);
  else visit(term);
  return steps;
}
