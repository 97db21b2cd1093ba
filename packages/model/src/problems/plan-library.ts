import { checkObject, named } from '../arguments.js';
import { ModelError } from '../error.js';
import {
  keyOf,
  numbersOf,
  readEquation,
  stepsOf,
  withNumbers,
  type Operand,
  type Step,
  type Term,
} from './equation.js';

/** A plan without its numbers, and how often training had it. */
export interface Template {
  /** In prefix form, over `number0` …, the numbers in the order that makes the form the smallest. */
  readonly equation: string;
  readonly count: number;
}

/** Most numbers of a template: plans of more are few. */
const MOST_NUMBERS = 5;
/** Templates of texts of many numbers have been trained at least so often, as each stands for hundreds of plans. */
const TIMES = [0, 0, 0, 0, 0, 3, 8] as const;

/** The plans that a problem of n numbers may have, as rows of matrices. */
export interface Plans {
  readonly steps: readonly (readonly Step[])[];
  /** Key of each plan's term, see `keyOf`. */
  readonly keys: readonly string[];
  /**
   * (K, F) 1 where a plan has a feature, else 0: for each step and operand a coefficient of 1, then for each a coefficient of −1, then for each step
   * whether it is a product, then whether it is a sum. Plans of fewer steps have the last ones.
   */
  readonly features: Float32Array;
  readonly size: number;
}

/** The plans that a model chooses from: every template with every choice of the numbers of a text. */
export class PlanLibrary {
  readonly templates: readonly Template[];
  readonly constants: readonly number[];
  /** D. */
  readonly depth: number;
  readonly #terms: readonly Term[];
  readonly #plans = new Map<number, Plans>();

  /** @throws {ModelError} `bad-config` for templates that are none, or that need other constants or more steps. */
  constructor(templates: readonly Template[], constants: readonly number[], depth: number) {
    if (!Array.isArray(templates))
      throw new ModelError(
        'bad-config',
        `templates is a list of { equation, count }, given ${named(templates)}`,
      );
    this.templates = templates;
    this.constants = constants;
    this.depth = depth;
    this.#terms = templates.map((template) => this.#termOf(template));
  }

  #termOf(template: Template): Term {
    checkObject('a template such as { equation, count }', template, 'bad-config');
    const { equation, count } = template;
    if (typeof equation !== 'string' || typeof count !== 'number')
      throw new ModelError('bad-config', `a template is { equation, count }, given ${named(equation)}`);
    const term = readEquation(equation.split(' '));
    const steps = stepsOf(term);
    const fits = steps.every(({ terms }) =>
      terms.every(([operand]) => operand.kind !== 'constant' || this.constants.includes(operand.value)),
    );
    if (fits && steps.length <= this.depth) return term;
    throw new ModelError(
      'bad-config',
      `the template ${named(equation)} needs other constants, or more steps than ${this.depth}`,
    );
  }

  /** Operands of a step of a text of n numbers: these, the constants, and the steps but the last one. */
  operands(n: number): number {
    return n + this.constants.length + this.depth - 1;
  }

  /** F, the number of features of a plan over n numbers. */
  width(n: number): number {
    return 2 * this.depth * (this.operands(n) + 1);
  }

  /** The plans over n numbers. */
  plans(n: number): Plans {
    const known = this.#plans.get(n) ?? this.#make(n);
    this.#plans.set(n, known);
    return known;
  }

  #make(n: number): Plans {
    const keys = new Set<string>();
    const steps: (readonly Step[])[] = [];
    this.#terms.forEach((term, i) => {
      if (this.templates[i]!.count < TIMES[Math.min(n, TIMES.length - 1)]!) return;
      const own = numbersOf(term);
      if (own.length > n) return;
      for (const choice of choices(n, own.length)) {
        const chosen = withNumbers(term, (index) => choice[own.indexOf(index)]!);
        const key = keyOf(chosen);
        if (keys.has(key)) continue;
        keys.add(key);
        steps.push(stepsOf(chosen));
      }
    });
    const [D, M, F] = [this.depth, this.operands(n), this.width(n)];
    const features = new Float32Array(steps.length * F);
    steps.forEach((plan, k) => {
      const offset = D - plan.length;
      plan.forEach(({ kind, terms }, d) => {
        const row = offset + d;
        features[k * F + 2 * D * M + (kind === 'product' ? 0 : D) + row] = 1;
        for (const [operand, coefficient] of terms)
          features[k * F + (coefficient > 0 ? 0 : D * M) + row * M + this.column(operand, n, offset)] = 1;
      });
    });
    return { steps, keys: [...keys], features, size: steps.length };
  }

  /** Column of an operand of a step. @param offset Row of the plan's first step. */
  column(operand: Operand, n: number, offset: number): number {
    if (operand.kind === 'number') return operand.index;
    if (operand.kind === 'constant') return n + this.constants.indexOf(operand.value);
    return n + this.constants.length + offset + operand.index;
  }

  /** (K) the values of all plans over these numbers; NaN or infinite where one divides by 0. */
  values(numbers: readonly number[]): Float64Array {
    return Float64Array.from(this.plans(numbers.length).steps, (steps) => valueOf(steps, numbers));
  }
}

/** The value of the last step. */
export function valueOf(steps: readonly Step[], numbers: readonly number[]): number {
  const values: number[] = [];
  for (const { kind, terms } of steps) {
    let value = kind === 'sum' ? 0 : 1;
    for (const [operand, coefficient] of terms) {
      const x =
        operand.kind === 'number'
          ? numbers[operand.index]!
          : operand.kind === 'constant'
            ? operand.value
            : values[operand.index]!;
      if (kind === 'sum') value += coefficient * x;
      else value = coefficient > 0 ? value * x : value / x;
    }
    values.push(value);
  }
  return values.at(-1)!;
}

/** All ways to choose k of n things in order. */
function* choices(n: number, k: number, chosen: readonly number[] = []): Generator<readonly number[]> {
  if (chosen.length === k) return yield chosen;
  for (let i = 0; i < n; i++) if (!chosen.includes(i)) yield* choices(n, k, [...chosen, i]);
}

/** The equation in prefix form of a term. */
function written(term: Term): string {
  if (term.kind === 'number') return `number${term.index}`;
  if (term.kind === 'constant') return String(term.value);
  const [plus, minus] = term.kind === 'sum' ? ['+', '-'] : ['*', '/'];
  // What is subtracted or divided by comes last; a group of such alone begins with 0 or 1.
  const parts = term.terms.flatMap(([part, count]) =>
    Array.from({ length: Math.abs(count) }, () => [part, Math.sign(count)] as const),
  );
  const ups = parts.filter(([, sign]) => sign > 0).map(([part]) => written(part));
  const downs = parts.filter(([, sign]) => sign < 0).map(([part]) => written(part));
  let text = ups.shift() ?? (term.kind === 'sum' ? '0' : '1');
  for (const up of ups) text = `${plus} ${text} ${up}`;
  for (const down of downs) text = `${minus} ${text} ${down}`;
  return text;
}

/** The templates of terms that at least `least` of them have, the most common first, and the constants in them. */
export function libraryOf(terms: readonly Term[], depth: number, least = 2): PlanLibrary {
  const counts = new Map<string, [Term, number]>();
  for (const term of terms) {
    const [key, template] = templateOf(term);
    counts.set(key, [template, (counts.get(key)?.[1] ?? 0) + 1]);
  }
  const kept = [...counts]
    .filter(
      ([, [term, count]]) =>
        count >= least && stepsOf(term).length <= depth && numbersOf(term).length <= MOST_NUMBERS,
    )
    .sort(([a, [, n]], [b, [, m]]) => m - n || (a < b ? -1 : 1))
    .map(([, [term, count]]) => ({ term, count }));
  const constants = new Set<number>();
  for (const { term } of kept)
    for (const { terms: operands } of stepsOf(term))
      for (const [operand] of operands) if (operand.kind === 'constant') constants.add(operand.value);
  const templates = kept.map(({ term, count }) => ({ equation: written(term), count }));
  return new PlanLibrary(
    templates,
    [...constants].sort((a, b) => a - b),
    depth,
  );
}

/** A term with its numbers renamed so that its key is the smallest. */
function templateOf(term: Term): readonly [key: string, template: Term] {
  const own = numbersOf(term);
  if (own.length > MOST_NUMBERS) return [keyOf(term), term];
  let best: readonly [string, Term] | null = null;
  for (const choice of choices(own.length, own.length)) {
    const renamed = withNumbers(term, (index) => choice[own.indexOf(index)]!);
    const key = keyOf(renamed);
    if (!best || key < best[0]) best = [key, renamed];
  }
  return best!;
}
