import { fnv1a, randomStream } from '@dag/expr';
import {
  libraryOf,
  numbersOf,
  stepsOf,
  valueOf,
  MOST_SLOTS,
  type PlanLibrary,
  type Template,
} from '@dag/model/problems';
import { generateProblem } from './generator.js';
import { knownProblem, type KnownProblem } from './problem-data.js';

/** What a model of problems is made from: the words it knows, the words that training hides, and the plans it chooses from. */
export interface ProblemSetup {
  readonly words: readonly string[];
  readonly hidden: readonly string[];
  readonly constants: readonly number[];
  readonly templates: readonly Template[];
}

/** Synthetic problem `index` of the stream `seed`. */
export function syntheticProblem(seed: number, index: number): KnownProblem {
  const { text, numbers, equation } = generateProblem(seed, index);
  return knownProblem(text, numbers, equation);
}

/** One problem in so many is held out of training: by these, checkpoints are compared and number evidence is fitted. */
const HELD_OUT_ONE_IN = 12;
/** Whether a problem is never trained. Texts that differ in their numbers alone are held out together. */
export const isHeldOut = (text: string): boolean => {
  const h = fnv1a(`held out ${text}`);
  return ((h ^ (h >>> 15)) >>> 3) % HELD_OUT_ONE_IN === 0;
};

/** Synthetic problems that are drawn for the plans and the words. */
const [FOR_PLANS, FOR_WORDS] = [3000, 1500];
/** Words of fewer problems are unknown. */
const FEWEST = 5;
/** So many of the most common words are hidden only where they are counted: other authors have other words than the rest. */
const COMMONEST = 80;
/** Common words, which are not hidden: without them a text has no structure. */
const COMMON = new Set(
  'the a an of in on at to and or if how many much more less fewer than did does do is are was were he she they it his her their in all total altogether together left now then each every per same number other some rest still already . , ? $ day dollar week hour minute year time cent money people'.split(
    ' ',
  ),
);

/** The setup of training problems, and of synthetic ones if `synthetic` is more than 0. */
export function problemSetup(
  problems: readonly KnownProblem[],
  { synthetic, seed, depth }: { readonly synthetic: number; readonly seed: number; readonly depth: number },
): ProblemSetup {
  const drawn =
    synthetic > 0 ? Array.from({ length: FOR_PLANS }, (_, i) => syntheticProblem(seed, 2 ** 31 + i)) : [];
  const all = [...problems, ...drawn];
  const counts = new Map<string, number>();
  for (const { words } of [...problems, ...drawn.slice(0, FOR_WORDS)])
    for (const stem of new Set(words.map(({ stem }) => stem))) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  const words = [...counts]
    .filter(([stem, count]) => count >= FEWEST && !isNumber(stem))
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .map(([stem]) => stem);
  const { templates, constants } = libraryOf(
    all.map(({ term }) => term),
    depth,
  );
  const hidden = [...new Set([...things(all), ...words.slice(COMMONEST)])];
  return { words, hidden, templates, constants };
}

const isNumber = (stem: string): boolean => /^number\d+$/.test(stem);

/** Words that are counted: plurals behind a number or "many", at most one word apart. */
function things(problems: readonly KnownProblem[]): string[] {
  const counts = new Map<string, number>();
  for (const { words } of problems)
    words.forEach(({ stem }, i) => {
      if (!isNumber(stem) && stem !== 'many') return;
      const thing = words.slice(i + 1, i + 3).find(({ isPlural }) => isPlural);
      if (thing) counts.set(thing.stem, (counts.get(thing.stem) ?? 0) + 1);
    });
  return [...counts].flatMap(([stem, count]) => (count >= 2 && !COMMON.has(stem) ? [stem] : []));
}

/** Relative tolerance of values that are algebraically equal. */
const EQUAL = 1e-9;

/**
 * Indices of the plans that compute the answer of a problem whatever its numbers are: those of the value of its equation for other numbers, equal ones
 * where the problem's are equal. Empty where the library has none.
 */
export function rightPlans({ text, numbers, term }: KnownProblem, library: PlanLibrary): number[] {
  if (numbers.length === 0 || numbers.length > MOST_SLOTS) return [];
  if (numbersOf(term).some((index) => index >= numbers.length)) return [];
  const random = randomStream(fnv1a(text), 0);
  const others = new Map<number, number>();
  const drawn = numbers.map((value) => {
    const known = others.get(value) ?? 1.3 + (random.below(2 ** 30) / 2 ** 30) * 6.4;
    others.set(value, known);
    return known;
  });
  const wanted = valueOf(stepsOf(term), drawn);
  const right: number[] = [];
  library.values(drawn).forEach((value, k) => {
    if (Math.abs(value - wanted) < EQUAL * Math.max(1, Math.abs(wanted))) right.push(k);
  });
  return right;
}
