import { execute } from '@dag/executor';
import { evaluate, ExprError, fromText, type Expr } from '@dag/expr';
import { requiredDepth, tensorize, TensorizeError } from '@dag/tensorize';
import { checkText, named } from './arguments.js';
import { ModelError } from './error.js';
import type { Calibration } from './calibration.js';
import { MOST_DEPTH } from './plan-predictor/layout.js';
import type { PlanPredictorConfig } from './plan-predictor/plan-predictor.js';
import { readoutOf } from './plan-predictor/readouts.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** The part of a `PredictorModel` that `doubtOf` needs. */
export interface Reader {
  readonly config: PlanPredictorConfig & { readonly calibration?: Calibration };
  readonly tokenizer: Tokenizer;
  /** For each token id, whether training met it. */
  wereTrained(tokens: readonly number[]): readonly boolean[];
}

/**
 * Why the value that a model predicted for a text may be wrong, in one sentence; null where `fromText` reads the same value. A model that refuses texts itself is doubted only where `fromText` reads another value. Where the text has characters that the tokenizer loses, or tokens that training never met,
 * the sentence names them, because they best explain the difference.
 *
 * @throws {ModelError} `bad-input` where an argument has the wrong type.
 */
export function doubtOf(text: string, value: number, model: Reader): string | null {
  checkText('a text', text);
  if (typeof value !== 'number')
    throw new ModelError('bad-input', `doubt: a value is a number, given ${named(value)}`);
  if (readoutOf(model.config.readout).fitsAnyLayout) return disagreementOn(text, value);
  const disagreement = disagreementWithin(text, value, model.config);
  if (disagreement === null) return null;
  const unknown = unknownParts(model.tokenizer.read(text), model);
  return unknown.length > 0
    ? `the text has ${listed(unknown)}, which this model has never seen`
    : disagreement;
}

/** How the value that `fromText` reads differs from the predicted one; null where it does not, or reads none. */
function disagreementOn(text: string, value: number): string | null {
  try {
    const expr = fromText(text);
    const meant = evaluate(expr);
    return isSame(value, meant) || isSame(value, executed(expr)) ? null : another(meant, value);
  } catch (error) {
    if (error instanceof ExprError) return null;
    throw error;
  }
}

/** The value of the plan of an expression, whose sums may round in another order; null where no model has such a plan. */
function executed(expr: Expr): number | null {
  try {
    const depth = requiredDepth(expr);
    return depth > MOST_DEPTH ? null : execute(tensorize(expr, { depth }))[0]!;
  } catch (error) {
    if (error instanceof TensorizeError) return null;
    throw error;
  }
}

const another = (meant: number, value: number): string =>
  `the text means ${meant}, this model reads ${value}`;

/** The same within the layout of the model, or why `fromText` reads none. */
function disagreementWithin(text: string, value: number, config: PlanPredictorConfig): string | null {
  try {
    const expr = fromText(text);
    // Throws for variables, which have no value.
    evaluate(expr);
    const meant = execute(tensorize(expr, { depth: config.depth }))[0]!;
    return isSame(value, meant) ? null : another(meant, value);
  } catch (error) {
    if (error instanceof ExprError) return `the text is not understood as an expression: ${error.message}`;
    if (error instanceof TensorizeError) return `the text does not fit into this model: ${error.message}`;
    throw error;
  }
}

/** The characters of a text that the tokenizer loses; where there are none, the words with a token that training never met. */
export function unknownParts(read: string, model: Reader): string[] {
  const { tokenizer } = model;
  const lost = [...new Set(read)].filter(
    (character) => tokenizer.decode(tokenizer.encode(character)) !== character,
  );
  if (lost.length > 0) return lost;
  const pieces = tokenizer.pieces(read).map((text) => ({ text, tokens: tokenizer.encode(text) }));
  const trained = model.wereTrained(pieces.flatMap(({ tokens }) => tokens));
  const parts: string[] = [];
  let part = '';
  let at = 0;
  for (const { text, tokens } of [...pieces, { text: '', tokens: [] }]) {
    const isKnown = trained.slice(at, (at += tokens.length)).every(Boolean);
    if (!isKnown) part += text;
    else if (part !== '') {
      parts.push(part.trim() || part);
      part = '';
    }
  }
  return [...new Set(parts)];
}

/** Parts that a sentence lists; further ones are an ellipsis. */
const MOST_LISTED = 5;

export const listed = (parts: readonly string[]): string =>
  parts
    .slice(0, MOST_LISTED)
    .map((part) => `\`${part.replace(/\p{C}/gu, codePoint)}\``)
    .join(', ') + (parts.length > MOST_LISTED ? ', …' : '');

/** A character that is not seen, or that turns the text around, by its number: U+202E. */
const codePoint = (character: string): string =>
  `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;

/** Relative tolerance: the same operations in another order round differently. */
const TOLERANCE = 1e-9;

// Any number would be within a relative tolerance of an infinite value.
const isSame = (a: number, b: number | null): boolean =>
  a === b ||
  Object.is(a, b) ||
  (b !== null && Number.isFinite(b) && Math.abs(a - b) <= TOLERANCE * Math.abs(b));
