import { z } from 'zod';
import { MOST_WEIGHT } from './losses.js';

export const count = z.int().min(1);
export const share = z.number().min(0).max(1);
export const belowOne = z.number().min(0).lt(1);
/** Seeds have 32 bits. */
const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
/** Upper limits: more would keep a run busy for hours before its first step. */
const MOST = { prefetch: 1000, examples: 100_000 };

const OPTIMIZER = {
  lr: z.number().positive().default(3e-3).describe('peak learning rate'),
  minLrRatio: share.default(0.05).describe('final learning rate as a share of lr'),
  beta1: belowOne.default(0.9).describe('AdamW: decay of the mean of gradients'),
  beta2: belowOne.default(0.98).describe('AdamW: decay of the mean of squared gradients'),
  eps: z.number().positive().default(1e-8).describe('AdamW: added to the root of that mean'),
  weightDecay: z.number().min(0).default(0.01).describe('decoupled weight decay, of matrices'),
  warmupSteps: z.int().min(0).default(100).describe('steps of linear warm-up to lr'),
  clip: z.number().positive().default(1).describe('gradients are clipped to this norm'),
};

export const EVALUATION = {
  every: count.default(200).describe('steps between evaluations'),
  examples: count.max(MOST.examples).default(500).describe('number of held-out expressions'),
  seed: seed
    .default(1)
    .describe('seed of the held-out set that selects checkpoints; reports use the next seed'),
};

const CHECKPOINT = {
  every: count.default(500).describe('steps between checkpoints'),
  keep: count.default(2).describe('how many of the latest checkpoints are kept'),
};

/** Settings of the threads that make batches. */
export const LOADER = {
  workers: count.default(1).describe('threads that make batches; at most one per core is used'),
  prefetch: count.max(MOST.prefetch).default(8).describe('batches made ahead'),
};

/** Seed of the held-out examples for reports. It differs from the seed of those on which checkpoints are selected. */
export const reportedSeed = ({ seed }: { readonly seed: number }): number => (seed + 1) % 2 ** 32;

/** Seed of the held-out examples that calibrate a model's confidence: neither those that select a checkpoint nor those of reports. */
export const calibrationSeed = ({ seed }: { readonly seed: number }): number => (seed + 2) % 2 ** 32;

/** The keys that configurations of every kind have. */
export const RUN = {
  name: z
    .string()
    .regex(/^\w[\w.-]*$/)
    .default('predictor-small')
    .describe('name of the run: letters, digits and _ . -'),
  seed: seed.default(0).describe('seed of the weights and the examples'),
  outDir: z.string().min(1).optional().describe('folder of the run (default: runs/<name>)'),
  resume: z
    .literal([false, true, 'best'])
    .default(false)
    .describe('true: continue the run in outDir; best: from its best checkpoint'),
  weights: z
    .string()
    .min(1)
    .default('scratch')
    .describe('what a new run begins with: scratch, pretrained, gpt2 (-medium, -large, -xl), or a path'),
  init_from: z
    .string()
    .min(1)
    .optional()
    .describe('older key: resume, latest and best mean resume, else weights'),
  device: z
    .enum(['auto', 'cpu', 'cuda', 'wasm', 'reference'])
    .default('auto')
    .describe('auto, cpu, cuda, wasm or reference'),
  matmulPrecision: z
    .enum(['auto', 'highest', 'high', 'medium'])
    .default('auto')
    .describe('matrix products on cuda: highest (f32), high (TF32), medium (bf16); auto: unchanged'),
  maxSteps: count.default(2000).describe('optimiser steps'),
  batchSize: count.default(32).describe('expressions in a micro-batch'),
  accumulate: count.default(1).describe('micro-batches per step, whose gradients are summed'),
  logEvery: count.default(10).describe('steps between lines of the log'),
  optimizer: z.strictObject(OPTIMIZER).prefault({}),
  checkpoint: z.strictObject(CHECKPOINT).prefault({}),
  losses: z.record(z.string(), z.number().min(0).max(MOST_WEIGHT)).default({}),
};

export type ParsedRun = z.output<
  z.ZodObject<Pick<typeof RUN, 'name' | 'outDir' | 'resume' | 'weights' | 'init_from'>>
>;

/** Values of `init_from` that mean `resume`, with the value of `resume`. */
const GOES_ON = new Map<string, true | 'best'>([
  ['resume', true],
  ['latest', true],
  ['best', 'best'],
]);

/**
 * Fills in `outDir`, and replaces `init_from` by `resume` or `weights`. The order of the keys does not depend on whether `outDir` was given,
 * so that a resumed run writes the same bytes.
 */
export function completeRun<T extends ParsedRun>({ init_from: from = '', outDir, ...parsed }: T) {
  const goesOn = GOES_ON.get(from);
  const weights = from === '' || goesOn ? parsed.weights : from;
  return {
    ...parsed,
    outDir: outDir ?? `runs/${parsed.name}`,
    resume: goesOn ?? parsed.resume,
    weights,
  };
}

/** The configuration of a run of any kind; `model` and `data` may have any keys that its task reads. */
export const anyRun = z.strictObject({
  ...RUN,
  kind: z.string(),
  model: z.looseObject({}).prefault({}),
  data: z.looseObject(LOADER).prefault({}),
  evaluation: z.strictObject(EVALUATION).prefault({}),
});

/** The keys common to all runs, with defaults filled in. */
export type RunConfig = ReturnType<typeof completeRun<z.output<typeof anyRun>>>;
