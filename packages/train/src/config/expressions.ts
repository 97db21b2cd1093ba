import { z } from 'zod';
import { notAllowed, type ConfigProblem, type ReadKeys } from './problems.js';
import { count, share } from './run.js';

/** Far beyond any use. */
const MOST_DIGITS = 1000;

/** What expressions are drawn: settings of the generator, of every stream, and of `data` in a configuration. */
export const EXPRESSIONS = {
  numbers: count.optional().describe('numbers, and operations, of an expression; left out, model.depth'),
  maxDigits: count.max(MOST_DIGITS).default(2).describe('digits before the decimal point'),
  maxDecimals: z.int().min(0).max(MOST_DIGITS).default(1).describe('digits after the decimal point'),
  style: z
    .enum(['spaced', 'compact', 'loose', 'words', 'question', 'mixed'])
    .default('spaced')
    .describe('spaced, compact, loose, words, question, mixed'),
  synonyms: share
    .default(0)
    .describe('share of texts in words with other words for the same: multiplied by, over, negative'),
  negatedGroups: share.default(0.1).describe('share of groups with a minus before them'),
  wholeNumbers: share.default(0).describe('share of expressions without decimals'),
  heldOutSkeletons: share
    .default(0)
    .describe(
      'share of skeletons (operators and parentheses) of two operators and more that are never trained',
    ),
};

type Parsed = z.output<z.ZodObject<typeof EXPRESSIONS>>;
type Optional = 'synonyms' | 'heldOutSkeletons';
/** The same, as streams take them: how many numbers is known, and what is 0 for most may be left out. */
export type Expressions = Omit<Parsed, 'numbers' | Optional> &
  Partial<Pick<Parsed, Optional>> & { numbers: number };

/** Expressions have no more numbers than the model has room for; `depth` 0: a model without room of its own. */
export function* checkNumbers(read: ReadKeys, depth: number | undefined): Iterable<ConfigProblem> {
  const numbers = read('data', { numbers: EXPRESSIONS.numbers })?.numbers;
  if (depth && numbers !== undefined && numbers > depth)
    yield notAllowed('data.numbers', numbers, `at most model.depth, which is ${depth}`, 'model.depth');
}

/** Registers hold all digits of the numbers. */
export function* checkDigits(read: ReadKeys, digits: number | undefined): Iterable<ConfigProblem> {
  const { maxDigits, maxDecimals } = EXPRESSIONS;
  const numbers = read('data', { maxDigits, maxDecimals });
  if (digits === undefined || !numbers || numbers.maxDigits + numbers.maxDecimals <= digits) return;
  const least = numbers.maxDigits + numbers.maxDecimals;
  const why = `as data.maxDigits is ${numbers.maxDigits} and data.maxDecimals ${numbers.maxDecimals}`;
  yield notAllowed('model.digits', digits, `at least ${least}, ${why}`, 'data.maxDigits', 'data.maxDecimals');
}
