import { affine, clipGradNorm, scope, setDefaultDevice } from '@dag/executor';
import { decodeSafetensors, encodeSafetensors, PredictorModel, type PredictorConfig } from '@dag/model';
import { join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { findCheckpoint, resolveCheckpoint, writeCheckpoint, type Checkpoint } from './checkpoint.js';
import { parseConfig, type TrainConfig } from './config.js';
import { Prefetcher } from './data/pool.js';
import { streamText, type Batch, type StreamConfig } from './data/stream.js';
import { TrainError } from './error.js';
import { answerAll, summarize, type Summary } from './evaluate.js';
import { computeLosses } from './losses.js';
import { openMetrics } from './metrics.js';
import { AdamW, learningRate } from './optimizer.js';
import { createProgress } from './progress.js';
import { heldOutQuestions } from './questions.js';
import { percent } from './report.js';

export interface TrainOptions {
  /** Finishes the step, saves and returns when aborted. */
  readonly signal?: AbortSignal;
}

export interface TrainResult {
  readonly model: PredictorModel;
  /** The last step taken. */
  readonly step: number;
  /** On held-out expressions, after the last step; null where the run was stopped before. */
  readonly summary: Summary | null;
  /** The folder of the last checkpoint. */
  readonly checkpoint: string;
  /** Milliseconds of this call, and how many of them it waited for data. */
  readonly elapsed: number;
  readonly waited: number;
}

/** The model's part of a training configuration. */
export function modelConfig(config: TrainConfig): PredictorConfig {
  return { ...config.model, tokenizer: config.tokenizer };
}

/** The stream's part of a training configuration. */
export function streamConfig(config: TrainConfig): StreamConfig {
  const { seed, batchSize, accumulate, model, data } = config;
  const { depth, blockSize } = model;
  const { maxDigits, maxDecimals, style, negatedGroups, wholeNumbers, shiftEvery, longestOf } = data;
  // A readout without registers reads numbers of any length.
  const digits = model.readout === 'registers' ? model.digits : maxDigits + maxDecimals;
  return {
    seed,
    batchSize,
    depth,
    digits,
    blockSize,
    numbers: data.numbers,
    maxDigits,
    maxDecimals,
    style,
    negatedGroups,
    wholeNumbers,
    accumulate,
    shiftEvery,
    longestOf,
    tokenizer: config.tokenizer,
  };
}

/**
 * Trains a plan predictor: streams expressions, and writes `metrics.jsonl` and checkpoints to `config.outDir`. The
 * same configuration gives the same bits, also where the run was stopped and resumed.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`, and `bad-input` where
 *   the loss or its gradient is no longer finite.
 */
export async function train(config: TrainConfig, { signal }: TrainOptions = {}): Promise<TrainResult> {
  const started = performance.now();
  if (config.device !== 'auto') setDefaultDevice(config.device);
  const progress = createProgress({ total: config.maxSteps });
  try {
    // An error of a worker thread would arrive without its type: what cannot be streamed is refused here.
    for (const split of ['train', 'held-out'] as const) streamText(streamConfig(config), split, 0);
    const run = await start(config, progress.log);
    const metrics = openMetrics(join(config.outDir, 'metrics.jsonl'));
    metrics.truncateAfter(run.step);
    const batches = new Prefetcher<Batch>({
      worker: new URL(WORKER, import.meta.url),
      workerData: streamConfig(config),
      workers: config.data.workers,
      ahead: config.data.prefetch,
      first: run.step * config.accumulate,
    });
    try {
      let summary: Summary | null = null;
      while (run.step < config.maxSteps && !signal?.aborted) {
        const begun = performance.now();
        const step = await trainStep(run, config, batches);
        const stepMs = performance.now() - begun;
        if (!Number.isFinite(step.loss + step.gradNorm))
          throw new TrainError(
            'bad-input',
            `the loss is ${step.loss} at step ${run.step}, the norm of the gradient ${step.gradNorm}; ` +
              'this step is not saved, a lower optimizer.lr may help',
          );
        const isLast = run.step === config.maxSteps;
        if (run.step % config.logEvery === 0 || isLast) {
          progress.update(run.step, { loss: step.loss, stepMs, lr: step.lr });
          metrics.append({
            step: run.step,
            loss: step.loss,
            ...step.parts,
            lr: step.lr,
            gradNorm: step.gradNorm,
            stepMs,
          });
        }
        let best: number | undefined;
        if (run.step % config.evaluation.every === 0 || isLast) {
          summary = await evaluateModel(run.model, config);
          progress.log(
            `step ${run.step}: ${percent(summary.value)} of ${summary.count} held-out values right, ${percent(summary.plan)} of plans`,
          );
          metrics.append({
            step: run.step,
            heldOut: { value: summary.value, exact: summary.exact, plan: summary.plan },
          });
          // Of equals the later one, which has learned longer.
          if (summary.value >= run.best) best = run.best = summary.value;
        }
        const due = run.step % config.checkpoint.every === 0 || isLast || best !== undefined;
        if (due) run.checkpoint = await save(run, config, best);
      }
      if (signal?.aborted && run.savedStep !== run.step) run.checkpoint = await save(run, config, undefined);
      if (run.step < config.maxSteps) summary = null;
      else summary ??= await evaluateModel(run.model, config);
      const elapsed = performance.now() - started;
      return {
        model: run.model,
        step: run.step,
        summary,
        checkpoint: run.checkpoint,
        elapsed,
        waited: batches.waited,
      };
    } finally {
      await batches.close();
      metrics.close();
    }
  } finally {
    progress.stop();
  }
}

/** Worker threads run the built package, also where this module runs from its source. */
const WORKER = import.meta.url.endsWith('.ts') ? '../dist/data/worker.js' : './data/worker.js';

/** Answers on the configuration's held-out expressions. */
export async function evaluateModel(model: PredictorModel, config: TrainConfig): Promise<Summary> {
  const { examples, seed } = config.evaluation;
  const answers = await answerAll(model, heldOutQuestions(streamConfig(config), examples, seed));
  return summarize(answers);
}

interface Run {
  readonly model: PredictorModel;
  readonly optimizer: AdamW;
  /** Steps taken. */
  step: number;
  /** The best share of held-out values right so far. */
  best: number;
  checkpoint: string;
  savedStep: number;
}

/** `savedStep` of a run that has saved nothing yet. */
const NEVER = -1;

const stateSchema = z.object({ step: z.int(), best: z.number(), config: z.unknown() });

async function start(config: TrainConfig, log: (line: string) => void): Promise<Run> {
  if (config.init_from === 'scratch') {
    await refuseUsedFolder(config.outDir);
    const model = new PredictorModel(modelConfig(config), { seed: config.seed });
    return {
      model,
      optimizer: new AdamW(model.parameters, config.optimizer),
      step: 0,
      best: 0,
      checkpoint: '',
      savedStep: NEVER,
    };
  }
  const checkpoint = await readInitial(config, log);
  const isOwn = !relative(config.outDir, checkpoint.folder).startsWith('..');
  if (!isOwn) await refuseUsedFolder(config.outDir);
  const state = checkpointState(checkpoint);
  checkSameRun(state.config, config, checkpoint.folder);
  const model = loadModel(checkpoint);
  const optimizer = new AdamW(model.parameters, config.optimizer);
  optimizer.restore(decodeSafetensors(fileOf(checkpoint, 'optimizer.safetensors')).tensors, state.step);
  log(`going on from ${checkpoint.folder}`);
  return {
    model,
    optimizer,
    step: state.step,
    best: state.best,
    checkpoint: checkpoint.folder,
    savedStep: state.step,
  };
}

async function readInitial(config: TrainConfig, log: (line: string) => void): Promise<Checkpoint> {
  switch (config.init_from) {
    case 'resume':
      return findCheckpoint(config.outDir, 'latest', log);
    case 'best':
      return findCheckpoint(config.outDir, 'best', log);
    default:
      return resolveCheckpoint(config.init_from, log);
  }
}

async function refuseUsedFolder(outDir: string): Promise<void> {
  const found = await findCheckpoint(outDir, 'latest', () => undefined).catch((error: unknown) => {
    if (error instanceof TrainError && error.code === 'no-checkpoint') return null;
    throw error;
  });
  if (found)
    throw new TrainError(
      'busy-directory',
      `${outDir} already holds a run (${found.folder}); --init_from=resume goes on with it, another --outDir starts afresh`,
    );
}

/** The model in a checkpoint. */
export function loadModel(checkpoint: Checkpoint): PredictorModel {
  return PredictorModel.load(fileOf(checkpoint, 'model.safetensors'));
}

/** The configuration that a checkpoint was trained with. @throws {TrainError} `bad-checkpoint`. */
export function checkpointConfig(checkpoint: Checkpoint): TrainConfig {
  return checkpointState(checkpoint).config;
}

function checkpointState(checkpoint: Checkpoint): { step: number; best: number; config: TrainConfig } {
  const state = stateSchema.safeParse(checkpoint.state);
  if (!state.success)
    throw new TrainError('bad-checkpoint', `${checkpoint.folder}: state.json is not that of a training run`);
  return { ...state.data, config: parseConfig(state.data.config) };
}

function fileOf(checkpoint: Checkpoint, name: string): Uint8Array {
  const file = checkpoint.files.get(name);
  if (!file) throw new TrainError('bad-checkpoint', `${checkpoint.folder} has no ${name}`);
  return file;
}

/** A resumed run has the model and the stream that it had; from a path another stream may follow. */
function checkSameRun(before: TrainConfig, now: TrainConfig, folder: string): void {
  const isResumed = now.init_from === 'resume' || now.init_from === 'best';
  const fixed = (config: TrainConfig): Record<string, unknown> => {
    const { tokenizer, model, accumulate, batchSize, seed, data } = config;
    if (!isResumed) return { tokenizer, model };
    // How many threads make the examples changes nothing of them.
    return { tokenizer, model, accumulate, batchSize, seed, data: { ...data, workers: 0, prefetch: 0 } };
  };
  const wanted = fixed(now);
  for (const [key, value] of Object.entries(fixed(before)))
    if (!isDeepStrictEqual(value, wanted[key]))
      throw new TrainError(
        'bad-config',
        `${folder} was trained with ${key} = ${JSON.stringify(value)}, the configuration says ${JSON.stringify(wanted[key])}`,
      );
}

async function save(run: Run, config: TrainConfig, best: number | undefined): Promise<string> {
  const files = new Map([
    ['model.safetensors', run.model.save()],
    ['optimizer.safetensors', encodeSafetensors(run.optimizer.state())],
  ]);
  const state = { step: run.step, best: run.best, config };
  run.savedStep = run.step;
  return writeCheckpoint(config.outDir, run.step, files, state, { keep: config.checkpoint.keep, best });
}

interface StepReport {
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly gradNorm: number;
}

async function trainStep(run: Run, config: TrainConfig, batches: Prefetcher<Batch>): Promise<StepReport> {
  const { model, optimizer } = run;
  const { accumulate } = config;
  const micro: Batch[] = [];
  while (micro.length < accumulate) micro.push(await batches.next());
  const tokens = micro.map(({ valid }) => valid.reduce((n, v) => n + v, 0));
  const allTokens = tokens.reduce((a, b) => a + b);
  for (const p of model.parameters.values()) p.zeroGrad();
  let loss = 0;
  const parts: Record<string, number> = {};
  for (const [i, batch] of micro.entries()) {
    // The losses of a batch are means over its tokens: together they are a mean over those of the step.
    const share = tokens[i]! / Math.max(1, allTokens);
    scope(() => {
      const dropoutSeed = config.model.dropout > 0 ? run.step * accumulate + i : undefined;
      const { position, shape } = batch;
      const prediction = model.forward(batch.tokens, shape, { dropoutSeed, position });
      const losses = computeLosses(model, prediction, batch, config.losses);
      affine(losses.total, share).backward();
      loss += losses.total.item() * share;
      for (const [name, part] of losses.parts) parts[name] = (parts[name] ?? 0) + part.item() * share;
    });
  }
  run.step++;
  const lr = learningRate(run.step, config.maxSteps, config.optimizer);
  const gradNorm = scope(() => clipGradNorm(model.parameters.values(), config.optimizer.clip).item());
  optimizer.update(lr);
  return { loss, parts, lr, gradNorm };
}
