import { z } from 'zod';
import { notAllowed, type ConfigProblem, type ReadKeys } from './problems.js';
import { count, share } from './run.js';

/** Upper limit, far beyond any use. */
const MOST_DIGITS = 1000;

/** Settings of the expression generator, used by every stream and in `data` of a configuration. */
export const EXPRESSIONS = {
  numbers: count.optional().describe('most numbers, and operations, in an expression (default: model.depth)'),
  maxDigits: count.max(MOST_DIGITS).default(2).describe('most digits before the decimal point'),
  maxDecimals: z.int().min(0).max(MOST_DIGITS).default(1).describe('most digits after the decimal point'),
  style: z
    .enum(['spaced', 'compact', 'loose', 'words', 'question', 'mixed'])
    .default('spaced')
    .describe('spaced, compact, loose, words, question, mixed'),
  synonyms: share
    .default(0)
    .describe('share of texts in words that use synonyms: multiplied by, over, negative'),
  negatedGroups: share.default(0.1).describe('share of groups with a minus before them'),
  wholeNumbers: share.default(0).describe('share of expressions without decimals'),
  heldOutSkeletons: share
    .default(0)
    .describe(
      'share of skeletons (operators and parentheses) with two or more operators that are never trained',
    ),
};

type Parsed = z.output<z.ZodObject<typeof EXPRESSIONS>>;
type Optional = 'synonyms' | 'heldOutSkeletons';
/** These settings as streams take them: `numbers` is required, `synonyms` and `heldOutSkeletons` are optional (0). */
export type Expressions = Omit<Parsed, 'numbers' | Optional> &
  Partial<Pick<Parsed, Optional>> & { numbers: number };

/** Checks that expressions have no more numbers than the model has room for. `depth` 0 (a plain GPT) sets no limit. */
export function* checkNumbers(read: ReadKeys, depth: number | undefined): Iterable<ConfigProblem> {
  const numbers = read('data', { numbers: EXPRESSIONS.numbers })?.numbers;
  if (depth && numbers !== undefined && numbers > depth)
    yield notAllowed('data.numbers', numbers, `at most model.depth, which is ${depth}`, 'model.depth');
}

/** Checks that the number registers have room for all digits. */
export function* checkDigits(read: ReadKeys, digits: number | undefined): Iterable<ConfigProblem> {
  const { maxDigits, maxDecimals } = EXPRESSIONS;
  const numbers = read('data', { maxDigits, maxDecimals });
  if (digits === undefined || !numbers || numbers.maxDigits + numbers.maxDecimals <= digits) return;
  const least = numbers.maxDigits + numbers.maxDecimals;
  const why = `as data.maxDigits is ${numbers.maxDigits} and data.maxDecimals ${numbers.maxDecimals}`;
  yield notAllowed('model.digits', digits, `at least ${least}, ${why}`, 'data.maxDigits', 'data.maxDecimals');
}
