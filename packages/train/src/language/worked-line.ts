import { asRead, formatValue, fromText, randomStream, type Random } from '@dag/expr';
import { execute } from '@dag/executor';
import { tokenizer } from '@dag/model';
import { tensorize } from '@dag/tensorize';
import { TrainError } from '../error.js';
import { streamExample, type Split, type StreamConfig } from '../predictor/stream.js';

/** An expression with its value, `12.5 * 4 = 50`. */
export interface WorkedLine {
  /** The expression. */
  readonly text: string;
  /** All that stands before the value: `12.5 * 4 = `. */
  readonly prompt: string;
  readonly value: number;
  readonly promptIds: readonly number[];
  /** The tokens of `formatValue(value)`, encoded by itself: it is written after the prompt is read. */
  readonly valueIds: readonly number[];
}

const MAX_DRAWS = 1000;
/** Longer values are noise to a reader: an overflow that just did not happen, or a quotient close to zero. */
const MAX_VALUE_LENGTH = 24;
/** Examples of a stream are 2³² before it draws again in place of one. */
const EXAMPLES = 2 ** 32;

/**
 * A random worked line of at most blockSize tokens; the end of the line is one more. Its value is what the plan of its
 * expression executes to, and finite. `before`: a blank where it does not begin a line.
 *
 * @throws {TrainError} `bad-config` where there is no room for such lines
 */
export function drawWorkedLine(
  config: StreamConfig,
  split: Split,
  random: Random,
  before: '' | ' ' = '',
): WorkedLine {
  const { depth, blockSize } = config;
  const tokens = tokenizer(config.tokenizer);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const text = asRead(streamExample(config, split, random.below(EXAMPLES)).text);
    const prompt = before + text + drawEquals(text, random);
    const value = execute(tensorize(fromText(text), { depth }))[0]!;
    const written = formatValue(value);
    if (!Number.isFinite(value) || written.length > MAX_VALUE_LENGTH) continue;
    const [promptIds, valueIds] = [tokens.encode(prompt), tokens.encode(written)];
    if (promptIds.length + valueIds.length > blockSize) continue;
    return { text, prompt, value, promptIds, valueIds };
  }
  throw new TrainError(
    'bad-config',
    `none of ${MAX_DRAWS} expressions fits with its value into model.blockSize ${blockSize}; use a larger one`,
  );
}

/** What stands between an expression and its value. */
function drawEquals(text: string, random: Random): string {
  const pick = (of: readonly string[]): string => of[random.below(of.length)]!;
  if (text.endsWith('?')) return ' ';
  if (text.endsWith('=')) return pick(['', ' ']);
  if (/[a-z]/i.test(text)) return ' = ';
  return pick(text.includes(' ') ? [' = ', ' = ', ' = ', '= '] : ['=', '=', ' = ', '= ']);
}

/** An expression to complete: all that stands before its value, the value, and the expression by itself. */
export interface WorkedPrompt {
  readonly prompt: string;
  readonly value: number;
  readonly text: string;
}

/** Draws for each different prompt that is wanted, before a stream counts as having no more. */
const DRAWS_EACH = 20;

/**
 * Up to `count` different expressions that no stream trains on, ready to be completed; fewer where there are no more of
 * them.
 *
 * @throws {TrainError} `bad-config` where there is no room for such lines
 */
export function workedPrompts(config: StreamConfig, count: number, seed: number): WorkedPrompt[] {
  const prompts = new Map<string, WorkedPrompt>();
  for (let i = 0; prompts.size < count && i < DRAWS_EACH * count; i++) {
    const { prompt, value, text } = drawWorkedLine({ ...config, seed }, 'held-out', randomStream(seed, i));
    if (!prompts.has(text)) prompts.set(text, { prompt, value, text });
  }
  return [...prompts.values()];
}
