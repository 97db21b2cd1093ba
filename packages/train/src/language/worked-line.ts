import { asRead, formatValue, fromText, randomStream, type Random } from '@dag/expr';
import { execute } from '@dag/executor';
import { tokenizer } from '@dag/model';
import { tensorize } from '@dag/tensorize';
import { TrainError } from '../error.js';
import { drawDistinct, type HeldOutQuestion, type Question } from '../evaluation/questions.js';
import { streamExample, type Example, type Split, type StreamConfig } from '../predictor/stream.js';

/** An expression with its value, `12.5 * 4 = 50`. */
export interface WorkedLine extends Example {
  /** Everything before the value: `12.5 * 4 = `. */
  readonly prompt: string;
  readonly value: number;
  readonly promptIds: readonly number[];
  /** The tokens of `formatValue(value)`, encoded separately from the prompt, with the blank at the end of that. */
  readonly valueIds: readonly number[];
}

const MAX_DRAWS = 1000;
/** Lines with longer values are drawn again; such values are near overflow or close to zero, and useless to a reader. */
const MAX_VALUE_LENGTH = 24;
/** Number of example indices: from 2³² on, indices are used to draw rejected examples again. */
const EXAMPLES = 2 ** 32;

/**
 * A random worked line of at most blockSize tokens, not counting the newline. Its value is the executed plan of its
 * expression, and finite.
 *
 * @param before A space if the line continues a line of text.
 * @throws {TrainError} `bad-config` if such lines do not fit
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
    const example = streamExample(config, split, random.below(EXAMPLES));
    const text = tokens.read(example.text);
    const prompt = before + text + drawEquals(text, random);
    const value = execute(tensorize(fromText(text), { depth }))[0]!;
    const written = formatValue(value);
    if (!Number.isFinite(value) || written.length > MAX_VALUE_LENGTH) continue;
    const blank = prompt.endsWith(' ') ? ' ' : '';
    const promptIds = tokens.encodeSigns(prompt.slice(0, prompt.length - blank.length));
    const valueIds = tokens.encodeSigns(blank + written);
    if (promptIds.length + valueIds.length > blockSize) continue;
    return { ...example, text, prompt, value, promptIds, valueIds };
  }
  throw new TrainError(
    'bad-config',
    `none of ${MAX_DRAWS} expressions fits with its value into model.blockSize ${blockSize}; use a larger block`,
  );
}

/** Draws the text between an expression and its value. */
function drawEquals(text: string, random: Random): string {
  const pick = (of: readonly string[]): string => of[random.below(of.length)]!;
  if (text.endsWith('?')) return ' ';
  if (text.endsWith('=')) return pick(['', ' ']);
  if (/[a-z]/i.test(text)) return ' = ';
  return pick(text.includes(' ') ? [' = ', ' = ', ' = ', '= '] : ['=', '=', ' = ', '= ']);
}

/** A held-out expression for the model to complete. */
export interface WorkedPrompt extends HeldOutQuestion {
  /** Everything before the value. */
  readonly prompt: string;
}

/**
 * The prompt of a question, which ends right before its value: an expression as worked lines have it, and a blank after `=` and `?`, which
 * are put where they are not. A text that ends with neither, nor with an operand, as "48 / 2 = $" does, stays as it is.
 */
export function promptOf({ text, expr }: Question): string {
  // A running text goes on behind an operand.
  if (!expr && !/[\d.)\]%]\s*$/.test(text)) return text;
  const asked = expr ? asRead(text) : text.trimEnd();
  return /[=?]$/.test(asked) ? `${asked} ` : `${asked} = `;
}

/**
 * Prompts of up to `count` different held-out expressions, which no stream trains on; fewer if the stream has no more.
 *
 * @throws {TrainError} `bad-config` if such lines do not fit
 */
export function workedPrompts(config: StreamConfig, count: number, seed: number): WorkedPrompt[] {
  return drawDistinct(count, (i) => {
    const line = drawWorkedLine({ ...config, seed }, 'held-out', randomStream(seed, i));
    const { text, plain, ids, prompt, value: expected } = line;
    return { text, plain, ids, prompt, expected, expr: fromText(text) };
  });
}
