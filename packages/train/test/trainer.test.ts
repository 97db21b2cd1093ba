import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ExecutorError } from '@dag/executor';
import { decodeSafetensors, PredictorModel, type FileBytes } from '@dag/model';
import { readCheckpoint, writeCheckpoint } from '../src/checkpoints/checkpoint.js';
import { parseConfig } from '../src/config/config.js';
import type { PredictorTrainConfig, PredictorTrainInput } from '../src/config/predictor.js';
import { Prefetcher } from '../src/workers/pool.js';
import { trainingBatch } from '../src/predictor/stream.js';
import { computeLosses } from '../src/predictor/losses.js';
import { alone, type Communicator } from '../src/mpi/communicator.js';
import { learningRate } from '../src/run/optimizer.js';
import { evaluateModel, modelConfig, streamConfig } from '../src/predictor/objective.js';
import { loadModel, train } from '../src/predictor/predictor-task.js';
import { checkpointConfig } from '../src/checkpoints/state.js';
import { overlay } from './overlay.js';

let root: string;
/** What a line of the progress makes happen, as it is written. */
let onLine: (line: string) => void;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-train-'));
  onLine = () => undefined;
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    onLine(String(text));
    return true;
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(root, { recursive: true, force: true });
});

const STEPS = 12;
/** A run of seconds: 12 steps of a model of width 8. */
function tiny(name: string, input: PredictorTrainInput = {}): PredictorTrainConfig {
  const base: PredictorTrainInput = {
    maxSteps: STEPS,
    batchSize: 4,
    logEvery: 1,
    outDir: join(root, name),
    model: { depth: 2, blockSize: 24, nLayer: 1, nHead: 2, nEmbd: 8 },
    data: { prefetch: 2 },
    optimizer: { warmupSteps: 3 },
    evaluation: { examples: 4, every: 100 },
    checkpoint: { every: 100, keep: 5 },
  };
  return parseConfig(overlay(base, input));
}

interface Written {
  readonly step: number;
  readonly model: FileBytes;
  readonly optimizer: FileBytes;
}
/** Trains, and gives what the last checkpoint holds. */
async function trained(config: PredictorTrainConfig, signal?: AbortSignal): Promise<Written> {
  const { checkpoint } = await train(config, signal ? { signal } : {});
  return contents(checkpoint);
}
async function contents(folder: string): Promise<Written> {
  const { step, files } = await readCheckpoint(folder);
  return { step, model: files.get('model.safetensors')!, optimizer: files.get('optimizer.safetensors')! };
}

/** A signal that is aborted when step `n` is told of. */
function stopAt(n: number): AbortSignal {
  const controller = new AbortController();
  onLine = (line) => {
    if (line.includes(`step ${n}/`)) controller.abort();
  };
  return controller.signal;
}

type Line = { step: number; heldOut?: unknown } & Record<string, number>;
async function metricsOf(config: PredictorTrainConfig): Promise<Line[]> {
  const text = await readFile(join(config.outDir, 'metrics.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

/** Every file under a folder with its bytes. */
async function snapshot(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, await readFile(file, 'base64')])),
  ) as Record<string, string>;
}

describe('a run', () => {
  it('gives the same bits for the same seed, however many workers make its data, and others for another', async () => {
    const one = await trained(tiny('one'));
    expect(await trained(tiny('two', { data: { workers: 2, prefetch: 5 } }))).toEqual(one);
    expect((await trained(tiny('three', { seed: 1 }))).model).not.toEqual(one.model);
  });

  it('changes its model, and returns the one that it saved', async () => {
    const config = tiny('run');
    const { model, step, checkpoint, summary } = await train(config);
    const saved = await contents(checkpoint);
    expect(step).toBe(STEPS);
    expect(model.save()).toEqual(saved.model);
    expect(saved.model).not.toEqual(new PredictorModel(modelConfig(config), { seed: 0 }).save());
    expect(summary?.count).toBe(4);
    const read = await readCheckpoint(checkpoint);
    expect(checkpointConfig(read)).toEqual(config);
    expect(loadModel(read).save()).toEqual(saved.model);
  });

  it('trains the linear readout too, on numbers longer than any register', async () => {
    const config = tiny('linear', {
      model: { readout: 'linear', digits: 1 },
      data: { maxDigits: 4 },
    });
    expect(trainingBatch(streamConfig(config), 0).valid.reduce((n, v) => n + v, 0)).toBeGreaterThan(20);
    const { step, checkpoint } = await train(config);
    expect(step).toBe(STEPS);
    expect((await metricsOf(config))[0]).toHaveProperty('execution');
    expect((await contents(checkpoint)).step).toBe(STEPS);
  });

  it('is compared by one held-out set, and reported by another', async () => {
    const config = tiny('run', { evaluation: { examples: 30, seed: 5 }, maxSteps: 3 });
    const { model, summary } = await train(config);
    expect(summary).toEqual(await evaluateModel(model, config, 6));
    expect(summary).toEqual(await evaluateModel(model, config));
    const { heldOut } = (await metricsOf(config)).at(-1)!;
    const { value, exact, plan, byOperations } = await evaluateModel(model, config, 5);
    expect(heldOut).toEqual(JSON.parse(JSON.stringify({ value, exact, plan, byOperations })));
    expect(byOperations).not.toEqual(summary!.byOperations);
  });

  it('writes a line of metrics for each step that is logged and for each evaluation', async () => {
    const config = tiny('run', { logEvery: 5, evaluation: { every: 6 } });
    await train(config);
    const lines = await metricsOf(config);
    expect(lines.map(({ step, heldOut }) => [step, heldOut ? 'held out' : 'loss'])).toEqual([
      [5, 'loss'],
      [6, 'held out'],
      [10, 'loss'],
      [12, 'loss'],
      [12, 'held out'],
    ]);
    const { loss, lr, gradNorm, stepMs, nesting, operators } = lines[0]!;
    for (const number of [loss, lr, gradNorm, stepMs, nesting, operators]) expect(number).toBeGreaterThan(0);
    expect(lines[1]!.heldOut).toEqual({
      value: expect.any(Number),
      exact: expect.any(Number),
      plan: expect.any(Number),
      byOperations: expect.objectContaining({ 1: expect.objectContaining({ count: expect.any(Number) }) }),
    });
  });

  it('takes the mean over all tokens of a step for the loss, in all and in its parts', async () => {
    const config = tiny('run', { accumulate: 2, maxSteps: 1 });
    await train(config);
    const model = new PredictorModel(modelConfig(config), { seed: config.seed });
    const micro = [0, 1].map((index) => {
      const batch = trainingBatch(streamConfig(config), index);
      const { parts } = computeLosses(model, model.forward(batch.tokens, batch.shape), batch, config.losses);
      return { parts, decided: batch.decided.reduce((n, v) => n + v, 0) };
    });
    const sum = (of: (part: (typeof micro)[number]) => number): number =>
      micro.reduce((n, m) => n + of(m), 0);
    const [line] = await metricsOf(config);
    let total = 0;
    for (const name of micro[0]!.parts.keys()) {
      const mean = sum((m) => m.parts.get(name)!.item() * m.decided) / sum((m) => m.decided);
      expect(line![name]).toBeCloseTo(mean, 5);
      total += config.losses[name]! * mean;
    }
    expect(line!['loss']).toBeCloseTo(total, 4);
  });

  it('moves the weights with two micro-batches as with one of all texts', async () => {
    const one = tiny('one', { batchSize: 8, maxSteps: 1 });
    const two = tiny('two', { batchSize: 4, accumulate: 2, maxSteps: 1 });
    const texts = trainingBatch(streamConfig(one), 0);
    const halves = [0, 1].map((index) => trainingBatch(streamConfig(two), index));
    expect(halves.flatMap((half) => half.texts).toSorted()).toEqual(texts.texts.toSorted());
    await train(one);
    await train(two);
    const [first, second] = [(await metricsOf(one))[0]!, (await metricsOf(two))[0]!];
    // Only the order of the sums differs, in single precision.
    expect(second['loss']).toBeCloseTo(first['loss']!, 5);
    expect(second['gradNorm']! / first['gradNorm']!).toBeCloseTo(1, 5);
  });

  it('clips the gradient: the norm that is logged is that before, and the weights are others', async () => {
    // An eps that is not small beside the gradient: without it AdamW divides any scale away.
    const of = (name: string, clip: number): PredictorTrainConfig =>
      tiny(name, { optimizer: { clip, eps: 1e-2 }, maxSteps: 1 });
    const [wide, tight] = [of('wide', 1e9), of('tight', 1e-3)];
    const [a, b] = [await trained(wide), await trained(tight)];
    expect((await metricsOf(tight))[0]!['gradNorm']).toBe((await metricsOf(wide))[0]!['gradNorm']);
    expect((await metricsOf(tight))[0]!['gradNorm']).toBeGreaterThan(1e-2);
    expect(a.model).not.toEqual(b.model);
  });
});

describe('a run that was stopped', () => {
  it.each<[string, PredictorTrainInput]>([
    ['with the defaults', {}],
    [
      'with dropout, two micro-batches and two workers',
      {
        model: { dropout: 0.1 },
        accumulate: 2,
        data: { workers: 2 },
      },
    ],
    ['with the linear readout', { model: { readout: 'linear' } }],
  ])('ends with the same bits as one that was not, %s', async (_, input) => {
    const whole = tiny('whole', input);
    const expected = await trained(whole);

    const config = tiny('halves', input);
    const stopped = await train(config, { signal: stopAt(6) });
    expect(stopped).toMatchObject({ step: 6, summary: null });
    expect((await contents(stopped.checkpoint)).step).toBe(6);
    const resumed = { ...config, resume: true };
    expect(await trained(resumed)).toEqual(expected);

    const lines = await metricsOf(config);
    const told = ({ step, loss, gradNorm, lr, heldOut }: Line) => ({ step, loss, gradNorm, lr, heldOut });
    expect(lines.map(told)).toEqual((await metricsOf(whole)).map(told));
  });

  it('has no summary, though it was evaluated before', async () => {
    const config = tiny('run', { evaluation: { every: 2 } });
    const { step, summary } = await train(config, { signal: stopAt(5) });
    expect({ step, summary }).toEqual({ step: 5, summary: null });
  });

  it('does not wait for the rest of the micro-batches of a step, and takes them all when it goes on', async () => {
    const input = { maxSteps: 3, accumulate: 4 };
    const expected = await trained(tiny('whole', input));
    const controller = new AbortController();
    const next = Prefetcher.prototype.next;
    const taken = jest.spyOn(Prefetcher.prototype, 'next').mockImplementation(async function (
      this: Prefetcher<unknown>,
      signal,
    ) {
      if (taken.mock.calls.length === 6) controller.abort();
      return next.call(this, signal);
    });
    const config = tiny('halves', input);
    const { step } = await train(config, { signal: controller.signal });
    expect([step, taken.mock.calls.length]).toEqual([1, 6]);
    taken.mockRestore();
    expect(await trained({ ...config, resume: true })).toEqual(expected);
  });

  it('can be resumed though it was stopped before its first step', async () => {
    const config = tiny('run', { maxSteps: 2 });
    const { step, checkpoint } = await train(config, { signal: AbortSignal.abort() });
    expect([step, (await contents(checkpoint)).step]).toEqual([0, 0]);
    const { step: end } = await train({ ...config, resume: true });
    expect(end).toBe(2);
  });

  it('writes the steps after its checkpoint anew where it was killed, and no line twice', async () => {
    const config = tiny('run', { checkpoint: { every: 4 } });
    const error = new Error('killed');
    onLine = (line) => {
      if (line.includes('step 7/')) throw error;
    };
    await expect(train(config)).rejects.toBe(error);
    onLine = () => undefined;
    await trained({ ...config, resume: true });
    const steps = (await metricsOf(config)).filter(({ heldOut }) => !heldOut).map(({ step }) => step);
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it.each([2, 1])(
    'has nothing to do where it has taken 2 of %d steps: says so, and is evaluated',
    async (maxSteps) => {
      const config = tiny('run', { maxSteps: 2 });
      const before = await trained(config);
      const lines: string[] = [];
      onLine = (line) => void lines.push(line);
      const { step, summary, checkpoint } = await train({ ...config, maxSteps, resume: true });
      expect(lines.at(-1)).toBe(`nothing to do: step 2 of ${maxSteps}\n`);
      expect([step, summary?.count]).toEqual([2, 4]);
      expect(await contents(checkpoint)).toEqual(before);
    },
  );
});

describe('where a run begins', () => {
  it('is never a folder that holds one, unless it is to be resumed; nothing there is harmed', async () => {
    const config = tiny('run', { maxSteps: 2 });
    await train(config);
    const before = await snapshot(config.outDir);
    await expect(train(config)).rejects.toMatchObject({
      code: 'busy-directory',
      message: expect.stringMatching(/--resume/),
    });
    const other = tiny('other', { maxSteps: 2 });
    await train(other);
    await expect(train({ ...config, weights: other.outDir })).rejects.toMatchObject({
      code: 'busy-directory',
    });
    expect(await snapshot(config.outDir)).toEqual(before);
  });

  it.each<[string, PredictorTrainInput]>([
    ['model.nEmbd', { model: { nEmbd: 16 } }],
    ['seed', { seed: 9 }],
    ['batchSize', { batchSize: 5 }],
    ['accumulate', { accumulate: 2 }],
    ['data.negatedGroups', { data: { negatedGroups: 0.5 } }],
  ])('is no checkpoint of another %s', async (key, input) => {
    await train(tiny('run', { maxSteps: 1 }));
    const config = tiny('run', { maxSteps: 2, ...input, resume: true });
    const before = await snapshot(config.outDir);
    await expect(train(config)).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringContaining(`trained with ${key} = `),
    });
    expect(await snapshot(config.outDir)).toEqual(before);
  });

  it('names every key that differs, and for the shipped weights their configuration', async () => {
    await train(tiny('run', { maxSteps: 1 }));
    const other = tiny('run', { maxSteps: 2, batchSize: 8, seed: 3, resume: true });
    await expect(train(other)).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringMatching(
        /seed = 0, the configuration says 3; with batchSize = 4, the configuration says 8; use the settings of the checkpoint/,
      ),
    });
    await expect(train(tiny('new', { weights: 'pretrained' }))).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringMatching(
        /model\.depth = .* with model\.nEmbd = .*`dag train reading --weights=pretrained`/,
      ),
    });
  });

  it('is no checkpoint with keys that this version does not know, which are named', async () => {
    const config = tiny('run', { maxSteps: 1 });
    const { files, state } = await readCheckpoint((await train(config)).checkpoint);
    const later = { ...Object(state), config: { ...config, colour: 1 } };
    const folder = await writeCheckpoint(config.outDir, 2, files, later, { keep: 5 });
    await expect(train({ ...config, resume: true })).rejects.toMatchObject({
      code: 'bad-checkpoint',
      message: expect.stringMatching(new RegExp(`^${folder}: state\\.json .*: unknown key colour`)),
    });
  });

  it('is the best checkpoint where that is asked for, and what came after it is forgotten', async () => {
    const config = tiny('run', { checkpoint: { every: 4 } });
    const expected = await trained(config);
    const { files, state } = await readCheckpoint(join(config.outDir, 'checkpoints', 'step-00000004'));
    await writeCheckpoint(config.outDir, 4, files, { ...Object(state), best: 0.9 }, { keep: 5, best: 0.9 });
    const started: string[] = [];
    onLine = (line) => void started.push(line);
    expect(await trained({ ...config, resume: 'best' })).toEqual(expected);
    expect(started[0]).toContain('step-00000004');
    expect(started[1]).toContain('step 5/12');
  });

  it('with a path is a new run: step 0, its weights, moments of zero, the whole schedule, the first examples', async () => {
    const config = tiny('run', { checkpoint: { every: 4 } });
    await train(config);
    const from = join(config.outDir, 'checkpoints', 'step-00000008');
    const other = tiny('other', { weights: from, maxSteps: 5, checkpoint: { keep: 9 } });
    const started: string[] = [];
    onLine = (line) => void started.push(line);
    expect(await train(other)).toMatchObject({ step: 5 });
    expect(started[0]).toBe(`beginning with the weights of ${from}\n`);
    const first = await contents(join(other.outDir, 'checkpoints', 'step-00000000'));
    expect([first.step, first.model]).toEqual([0, (await contents(from)).model]);
    for (const { data } of decodeSafetensors(first.optimizer).tensors.values())
      expect(data.some((moment) => moment !== 0)).toBe(false);
    const lines = (await metricsOf(other)).filter(({ heldOut }) => !heldOut);
    expect(lines.map(({ step, lr }) => [step, lr])).toEqual(
      [1, 2, 3, 4, 5].map((step) => [step, learningRate(step, 5, other.optimizer)]),
    );
    const { state } = await readCheckpoint(join(other.outDir, 'checkpoints', 'step-00000005'));
    expect(state).toMatchObject({ step: 5, batches: 5, config: { weights: from } });
  });

  it('with a path is never the folder of that very run, which goes on by resume or best', async () => {
    const config = tiny('run', { maxSteps: 2 });
    const { checkpoint } = await train(config);
    const before = await snapshot(config.outDir);
    await expect(train({ ...config, weights: checkpoint })).rejects.toMatchObject({
      code: 'busy-directory',
    });
    expect(await snapshot(config.outDir)).toEqual(before);
  });

  it('is nowhere where there is no checkpoint to go on from', async () => {
    for (const input of [{ resume: true }, { resume: 'best' }, { weights: join(root, 'nowhere') }] as const)
      await expect(train(tiny('empty', input))).rejects.toMatchObject({ code: 'no-checkpoint' });
  });
});

describe('a run that cannot go on', () => {
  it('stops where its loss is no number, and saves nothing of that', async () => {
    const config = tiny('run', {
      optimizer: { lr: 1e30, warmupSteps: 0 },
      logEvery: 100,
      checkpoint: { every: 1 },
    });
    await expect(train(config)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/loss is NaN at step 2, .* try a lower optimizer\.lr/),
    });
    expect(await readdir(join(config.outDir, 'checkpoints'))).toEqual(['step-00000001']);
  });

  it.each<[string, PredictorTrainInput]>([
    ['a step that is evaluated', { maxSteps: 1 }],
    ['a checkpoint that is due', { checkpoint: { every: 1 } }],
  ])('never saves weights that are not finite: %s', async (_, input) => {
    const config = tiny('run', { optimizer: { lr: 1e39, warmupSteps: 0 }, ...input });
    await expect(train(config)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(
        /weight \S+ holds (NaN|-?Infinity) after step 1; this step is not saved/,
      ),
    });
    expect(await readdir(config.outDir)).not.toContain('checkpoints');
  });

  it('never saves weights that are not finite: a signal', async () => {
    const config = tiny('run', { optimizer: { lr: 1e39, warmupSteps: 0 } });
    await expect(train(config, { signal: stopAt(1) })).rejects.toMatchObject({ code: 'bad-input' });
    expect(await readdir(config.outDir)).not.toContain('checkpoints');
  });

  it('says before it begins that no expression fits', async () => {
    // No number has a word of one character.
    const config = tiny('run', { data: { style: 'words' }, model: { blockSize: 1 } });
    await expect(train(config)).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringMatching(/model\.blockSize 1; use a larger one/),
    });
  });

  it.each([
    ['an array', new RangeError('Array buffer allocation failed')],
    ['a tensor', new ExecutorError('memory', 'out of memory: no array of 8 bytes')],
  ])('for want of memory for %s says what is saved, and what needs less', async (_, error) => {
    const config = tiny('run', { checkpoint: { every: 2 } });
    onLine = (line) => {
      if (!line.startsWith('step 3/')) return;
      jest.spyOn(PredictorModel.prototype, 'inputs').mockImplementation(() => {
        throw error;
      });
    };
    await expect(train(config)).rejects.toMatchObject({
      name: 'TrainError',
      code: 'memory',
      message: expect.stringMatching(/not enough memory .*; step 2 is saved; use a smaller batchSize/),
      cause: error,
    });
  });

  it('because ranks have different weights saves none of them', async () => {
    let differ = false;
    onLine = (line) => {
      if (line.startsWith('step 1/')) differ = true;
    };
    const communicator: Communicator = {
      ...alone,
      size: 2,
      sumInPlace(values) {
        // Which ranks have other weights, of two; other sums are of more numbers.
        if (values instanceof Float64Array && values.length === 2 && differ) values[1] = 1;
        return Promise.resolve();
      },
    };
    const config = tiny('run', { checkpoint: { every: 2 }, logEvery: 1, maxSteps: 4 });
    await expect(train(config, { communicator })).rejects.toMatchObject({
      code: 'mpi',
      message: expect.stringMatching(
        /^rank 1 has other weights than rank 0 after step 2, which is not saved/,
      ),
    });
    expect(await readdir(config.outDir)).toEqual(['metrics.jsonl']);
  });
});

describe('a checkpoint', () => {
  it('whose weights are of another model than its state is damaged, and says by which key', async () => {
    const config = tiny('run', { maxSteps: 1 });
    const { files, state } = await readCheckpoint((await train(config)).checkpoint);
    // The tensors of one head have the shapes of those of two.
    const other = { ...Object(state), config: { ...config, model: { ...config.model, nHead: 1 } } };
    const folder = await writeCheckpoint(join(root, 'other'), 1, files, other, { keep: 1 });
    const checkpoint = await readCheckpoint(folder);
    expect(() => loadModel(checkpoint)).toThrow(
      `checkpoint ${folder} is damaged: model.safetensors says nHead is 2, state.json 1`,
    );
  });

  it('whose readout is not known says how it is made known', async () => {
    const config = tiny('run', { maxSteps: 1 });
    const { files, state } = await readCheckpoint((await train(config)).checkpoint);
    const model = { ...config.model, readout: 'mine' };
    const other = { ...Object(state), config: { ...config, model, losses: { mine: 1 } } };
    const folder = await writeCheckpoint(join(root, 'other'), 1, files, other, { keep: 1 });
    const checkpoint = await readCheckpoint(folder);
    expect(() => loadModel(checkpoint)).toThrow(
      `${folder}: model.readout is 'mine'; allowed: 'decisions' or 'linear'; for a readout of your own load the module ` +
        'that adds it: `NODE_OPTIONS=--import=./readout.js dag …`, or import it in a configuration in .ts or .js',
    );
  });

  it("without the optimiser's state begins a new run, and says so where it is to go on", async () => {
    const config = tiny('run', { maxSteps: 1 });
    const { files, state } = await readCheckpoint((await train(config)).checkpoint);
    const weights = new Map([['model.safetensors', [files.get('model.safetensors')!].flat()]]);
    const folder = await writeCheckpoint(config.outDir, 2, weights, state as object, { keep: 1 });
    await expect(train({ ...config, maxSteps: 3, resume: true })).rejects.toMatchObject({
      code: 'bad-checkpoint',
      message: expect.stringMatching(/has no optimizer\.safetensors.*--weights=\S+ with another --outDir/),
    });
    expect((await train(tiny('new', { maxSteps: 1, weights: folder }))).step).toBe(1);
  });
});
