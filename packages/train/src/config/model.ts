import { z } from 'zod';
import { DEFAULT_READOUT, readoutNames, readoutOf } from '@dag/model';
import { shown } from '../arguments.js';
import { checkDigits, checkNumbers } from './expressions.js';
import type { LossWeights } from './losses.js';
import { notAllowed, type ConfigProblem, type ReadKeys } from './problems.js';
import { belowOne, completeRun, count, type ParsedRun } from './run.js';

/** Upper limit, far beyond any use: more would keep a run busy for hours before its first step. */
const MOST_LAYERS = 1000;
export const layers = z.int().min(0).max(MOST_LAYERS);

/** The keys of `model` that predictors and language models share. */
export const MODEL = {
  depth: z.int().min(1).default(3).describe('most numbers, and operations, in an expression'),
  blockSize: count.default(32).describe('context length in tokens'),
  nLayer: count.max(MOST_LAYERS).default(2).describe('transformer blocks'),
  nHead: count.default(2).describe('attention heads'),
  nEmbd: count.default(32).describe('width, a multiple of nHead'),
  convolution: z
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('tokens before each that blocks convolve, in place of positions; 0: learned positions'),
  dropout: belowOne.default(0).describe('probability of dropping an activation'),
  bias: z.boolean().default(true).describe('biases in linear layers and norms'),
  activation: z
    .enum(['gelu', 'geluTanh'])
    .default('gelu')
    .describe("gelu, or geluTanh, as GPT-2's published weights need"),
  readout: z
    .string()
    .default(DEFAULT_READOUT)
    .describe('decisions, linear (the baseline), or one added by addReadout'),
  digits: z.int().min(1).max(30).default(3).describe('most digits of a number'),
};

/** The readout of a configuration; the default if it names none or an unknown one. */
export function readoutName(read: ReadKeys): string {
  const name = read('model', { readout: MODEL.readout })?.readout ?? '';
  return readoutNames().includes(name) ? name : DEFAULT_READOUT;
}

/**
 * Checks that `nHead` divides `nEmbd`, that the readout exists, and that the model has room for the expressions.
 * @param depthKey The schema of `model.depth`.
 */
export function* checkModel(read: ReadKeys, depthKey: z.ZodType<number>): Iterable<ConfigProblem> {
  yield* checkHeads(read('model', { nEmbd: MODEL.nEmbd, nHead: MODEL.nHead }));
  const readout = read('model', { readout: MODEL.readout })?.readout;
  if (readout !== undefined && !readoutNames().includes(readout))
    yield notAllowed(
      'model.readout',
      readout,
      `${readoutNames().map(shown).join(' or ')}; for a readout of your own load the module that adds it: ` +
        '`NODE_OPTIONS=--import=./readout.js dag …`, or import it in a configuration in .ts or .js',
    );
  yield* checkNumbers(read, read('model', { depth: depthKey })?.depth);
  if (readoutOf(readoutName(read)).holdsDigits)
    yield* checkDigits(read, read('model', { digits: MODEL.digits })?.digits);
}

/** Checks that `nHead` divides `nEmbd`; nothing where either is wrong by itself. */
export function* checkHeads(
  width: { readonly nEmbd: number; readonly nHead: number } | null | undefined,
): Iterable<ConfigProblem> {
  if (width && width.nEmbd % width.nHead !== 0)
    yield notAllowed(
      'model.nEmbd',
      width.nEmbd,
      `a multiple of model.nHead, which is ${width.nHead}`,
      'model.nHead',
    );
}

/** Default of `data.numbers` if `model.depth` is 0. */
const NUMBERS = 3;

type Parsed = ParsedRun & { data: { numbers?: number | undefined }; model: { depth: number } };

/** Fills in the keys whose defaults depend on other keys. */
export function complete<T extends Parsed>(parsed: T, losses: LossWeights) {
  const run = completeRun(parsed);
  // The last key, given or not: see `completeRun`.
  const { numbers = parsed.model.depth || NUMBERS, ...rest } = parsed.data;
  return { ...run, data: { ...rest, numbers }, losses };
}
