import { z } from 'zod';

export const count = z.int().min(1);
export const share = z.number().min(0).max(1);
export const belowOne = z.number().min(0).lt(1);
/** Seeds are words of 32 bits. */
const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
/** More would keep a run busy for hours before its first step. */
const MOST = { prefetch: 1000, examples: 100_000 };

const OPTIMIZER = {
  lr: z.number().positive().default(3e-3).describe('highest learning rate'),
  minLrRatio: share.default(0.05).describe('the last learning rate, as a share of lr'),
  beta1: belowOne.default(0.9).describe('decay of the mean of gradients'),
  beta2: belowOne.default(0.98).describe('decay of the mean of their squares'),
  eps: z.number().positive().default(1e-8).describe('added to the root of that mean'),
  weightDecay: z.number().min(0).default(0.01).describe('decoupled weight decay'),
  warmupSteps: z.int().min(0).default(100).describe('steps until the learning rate is lr'),
  clip: z.number().positive().default(1).describe('largest norm of the gradient'),
};

export const EVALUATION = {
  every: count.default(200).describe('steps between evaluations'),
  examples: count.max(MOST.examples).default(500).describe('held-out expressions'),
  seed: seed.default(1).describe('seed of those by which checkpoints are compared; the next one is reported'),
};

const CHECKPOINT = {
  every: count.default(500).describe('steps between checkpoints'),
  keep: count.default(2).describe('how many of the last are kept'),
};

/** Settings of the threads that make batches. */
export const LOADER = {
  workers: count.default(1).describe('threads that make batches; no more than there are cores'),
  prefetch: count.max(MOST.prefetch).default(8).describe('batches made ahead'),
};

/** Seed of the held-out examples that are reported: others than those by which checkpoints are compared. */
export const reportedSeed = ({ seed }: { readonly seed: number }): number => (seed + 1) % 2 ** 32;

/** The keys of every run, whatever it trains; those of what is trained are beside them. */
export const RUN = {
  name: z
    .string()
    .regex(/^\w[\w.-]*$/)
    .default('predictor-small')
    .describe('name of the run: letters, digits and _ . -'),
  seed: seed.default(0).describe('seed of the weights and the examples'),
  outDir: z.string().min(1).optional().describe('folder of the run; left out, runs/<name>'),
  resume: z
    .literal([false, true, 'best'])
    .default(false)
    .describe('true: go on with the run in outDir; best: from its best checkpoint'),
  weights: z
    .string()
    .min(1)
    .default('scratch')
    .describe('what a new run begins with: scratch, pretrained, gpt2 (-medium, -large, -xl), or a path'),
  init_from: z.string().min(1).optional().describe('resume, latest or best: as resume; else as weights'),
  device: z
    .enum(['auto', 'cpu', 'cuda', 'wasm', 'reference'])
    .default('auto')
    .describe('auto, cpu, cuda, wasm or reference'),
  matmulPrecision: z
    .enum(['auto', 'highest', 'high', 'medium'])
    .default('auto')
    .describe('matrix products on cuda: highest (f32), high (TF32), medium (bf16); auto: as is set'),
  maxSteps: count.default(2000).describe('optimiser steps'),
  batchSize: count.default(32).describe('expressions in a micro-batch'),
  accumulate: count.default(1).describe('micro-batches in a step'),
  logEvery: count.default(10).describe('steps between lines of the log'),
  optimizer: z.strictObject(OPTIMIZER).prefault({}),
  checkpoint: z.strictObject(CHECKPOINT).prefault({}),
  losses: z.record(z.string(), z.number().min(0)).default({}),
};

export type ParsedRun = z.output<
  z.ZodObject<Pick<typeof RUN, 'name' | 'outDir' | 'resume' | 'weights' | 'init_from'>>
>;

/** What `init_from` says of `resume`. */
const GOES_ON = new Map<string, true | 'best'>([
  ['resume', true],
  ['latest', true],
  ['best', 'best'],
]);

/** A configuration with the folder of its run, and with `init_from` as what it means. */
export function completeRun<T extends ParsedRun>({ init_from: from = '', ...parsed }: T) {
  const outDir = parsed.outDir ?? `runs/${parsed.name}`;
  const goesOn = GOES_ON.get(from);
  const weights = from === '' || goesOn ? parsed.weights : from;
  return { ...parsed, outDir, resume: goesOn ?? parsed.resume, weights };
}

/** The configuration of a run of any kind: `model` and `data` may hold what the task of that kind reads. */
export const anyRun = z.strictObject({
  ...RUN,
  kind: z.string(),
  model: z.looseObject({}).prefault({}),
  data: z.looseObject(LOADER).prefault({}),
  evaluation: z.strictObject(EVALUATION).prefault({}),
});

/** What every run says, whatever it trains. */
export type RunConfig = ReturnType<typeof completeRun<z.output<typeof anyRun>>>;
