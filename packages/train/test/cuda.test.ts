/** Training on the device cuda: on the emulator of its kernels, or with DAG_TEST_CUDA=device on a GPU. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { adamW, clipGradNorm, scope, setDefaultDevice, setMatmulPrecision, zeros } from '@dag/executor';
import { DagGpt, PredictorModel, tokenizer, type Parameters } from '@dag/model';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backendOf } from '../../executor/src/devices.js';
import { emulator } from '../../executor/test/emulator.js';
import { prepareCuda } from '../../executor/test/prepare-cuda.js';
import { parseConfig } from '../src/config/config.js';
import type { LanguageTrainConfig, LanguageTrainInput } from '../src/config/language.js';
import type { PredictorTrainConfig, PredictorTrainInput } from '../src/config/predictor.js';
import { languageInputs, languageLosses, languageTokens } from '../src/language/language-losses.js';
import { languageBatch, type LanguageBatch } from '../src/language/language-stream.js';
import {
  languageModelConfig,
  languageStreamConfig,
  languageTask,
  trainLanguageModel,
} from '../src/language/language-task.js';
import { trainingBatch } from '../src/predictor/stream.js';
import { computeLosses, learnFrom, lossTokens } from '../src/predictor/losses.js';
import { learningRate } from '../src/run/optimizer.js';
import { modelConfig, streamConfig } from '../src/predictor/objective.js';
import { train } from '../src/predictor/predictor-task.js';
import { chooseDevice } from '../src/run/steps.js';
import { overlay } from './overlay.js';

const cudaIsMissing = prepareCuda();

const folder = mkdtempSync(join(tmpdir(), 'dag-cuda-'));
afterAll(() => {
  setDefaultDevice(undefined);
  rmSync(folder, { recursive: true });
});

const onEmulator = process.env['DAG_TEST_CUDA'] !== 'device';

function tiny(name: string, input: PredictorTrainInput = {}): PredictorTrainConfig {
  const base: PredictorTrainInput = {
    ...{ device: 'cuda', outDir: join(folder, name), maxSteps: 4, batchSize: 3, accumulate: 2, logEvery: 1 },
    model: { depth: 3, blockSize: 24, nLayer: 1, nHead: 2, nEmbd: 16, dropout: 0.1 },
    data: { workers: 1, prefetch: 2 },
    losses: { execution: 0.1 },
    evaluation: { every: 3, examples: 2 },
  };
  return parseConfig(overlay(base, input));
}

interface Told {
  readonly loss: number;
  readonly gradNorm: number;
}

function toldOf({ outDir }: Pick<PredictorTrainConfig, 'outDir'>): Told[] {
  const lines = readFileSync(join(outDir, 'metrics.jsonl'), 'utf8').trim().split('\n');
  return lines
    .map((line) => JSON.parse(line) as Partial<Told>)
    .flatMap(({ loss, gradNorm }) =>
      loss === undefined || gradNorm === undefined ? [] : [{ loss, gradNorm }],
    );
}

/** The micro-batches of each step. */
const batchesOf = (config: PredictorTrainConfig) =>
  Array.from({ length: config.maxSteps }, (_, step) =>
    Array.from({ length: config.accumulate }, (_, i) =>
      trainingBatch(streamConfig(config), step * config.accumulate + i),
    ),
  );

/** The steps of a run, with each of their operations asked of the device by itself. */
function writtenOut(config: PredictorTrainConfig): { told: Told[]; weights: Uint8Array } {
  chooseDevice(config);
  const { maxSteps, accumulate, losses, optimizer } = config;
  const { clip, beta1, beta2, eps, weightDecay } = optimizer;
  const model = new PredictorModel(modelConfig(config), { seed: config.seed });
  const parameters = [...model.parameters.values()];
  const moments = parameters.map(({ shape }) => [zeros(shape), zeros(shape)] as const);
  const told = batchesOf(config).map((batches, done) => {
    for (const p of parameters) p.zeroGrad();
    const counts = batches.map(lossTokens);
    const total = (name: keyof (typeof counts)[number]) => counts.reduce((n, count) => n + count[name], 0);
    const tokens = { valid: total('valid'), finite: total('finite'), decided: total('decided') };
    const parts = batches.map((batch, i) =>
      scope(() => {
        const options = { dropoutSeed: done * accumulate + i, position: batch.position };
        const prediction = model.forward(batch.tokens, batch.shape, options);
        const { total } = computeLosses(model, prediction, batch, losses, tokens);
        total.backward();
        return total.item();
      }),
    );
    const gradNorm = scope(() => clipGradNorm(parameters, clip).item());
    const [step, lr] = [done + 1, learningRate(done + 1, maxSteps, optimizer)];
    parameters.forEach((p, i) => {
      const decay = p.shape.length >= 2 ? weightDecay : 0;
      adamW(p, ...moments[i]!, { lr, step, beta1, beta2, eps, weightDecay: decay });
    });
    return { loss: parts.reduce((a, b) => a + b), gradNorm };
  });
  return { told, weights: model.save() };
}

const text = join(folder, 'text');
beforeAll(() => {
  mkdirSync(text);
  const ids = tokenizer('char').encode('The quick brown fox jumps over the lazy dog. '.repeat(40));
  for (const name of ['train.bin', 'val.bin']) writeFileSync(join(text, name), Uint16Array.from(ids));
});

/** Rows of text and of sums of single digits. */
function writing(name: string, input: Partial<LanguageTrainInput> = {}): LanguageTrainConfig {
  const base: LanguageTrainInput = {
    ...{
      kind: 'language',
      device: 'cuda',
      outDir: join(folder, name),
      maxSteps: 6,
      batchSize: 4,
      logEvery: 1,
    },
    model: { depth: 2, blockSize: 48, digits: 2, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0.1 },
    data: { text, arithmetic: 0.5, maxDigits: 1, maxDecimals: 0, workers: 1, prefetch: 2 },
    evaluation: { every: 100, examples: 2, batches: 1 },
  };
  return parseConfig(overlay(base, input));
}

/** The sizes of tensors that differ between batches. */
const shapeOf = ({ targetRows, expressions }: LanguageBatch): string =>
  [Math.ceil(targetRows / 128), ...(expressions?.shape ?? [])].join(' ');

const gradientsOf = (parameters: Parameters): Map<string, unknown> =>
  new Map([...parameters].map(([name, p]) => [name, p.grad!.dataSync()]));

const withCuda = cudaIsMissing === null ? describe : describe.skip;
withCuda(`training on cuda${cudaIsMissing === null ? '' : ` (skipped: ${cudaIsMissing})`}`, () => {
  const losses = async (device: 'cuda' | 'reference', name: string): Promise<number[]> => {
    const config = tiny(name, { device });
    await train(config);
    return toldOf(config).map(({ loss }) => loss);
  };

  it('takes the steps that the reference takes, to rounding, with the same dropout, and the same bits each time', async () => {
    const [first, second] = [await losses('cuda', 'first'), await losses('cuda', 'second')];
    expect(first).toHaveLength(4);
    expect(second).toEqual(first);
    const reference = await losses('reference', 'reference');
    first.forEach((loss, i) => expect(loss / reference[i]!).toBeCloseTo(1, 3));
  });

  it('multiplies in the precision that the configuration asks for', async () => {
    const of = async (matmulPrecision: 'highest' | 'high' | 'medium') => {
      const config = tiny(matmulPrecision, { matmulPrecision, maxSteps: 1, accumulate: 1 });
      await train(config);
      return toldOf(config)[0]!.loss;
    };
    const exact = await of('highest');
    for (const [precision, unit] of [
      ['high', 2 ** -10],
      // The blocks also store their activations in bf16.
      ['medium', 2 ** -7],
    ] as const) {
      const off = Math.abs((await of(precision)) / exact - 1);
      expect(off).toBeGreaterThan(0);
      expect(off).toBeLessThan(4 * unit);
    }
    setMatmulPrecision('highest');
  });

  it('learns with activations in bf16 as with f32', async () => {
    const of = async (matmulPrecision: 'highest' | 'medium') => {
      const allocate = jest.spyOn(backendOf('cuda'), 'allocate');
      const config = tiny(`learns-${matmulPrecision}`, {
        ...{
          matmulPrecision,
          maxSteps: 12,
          batchSize: 6,
          accumulate: 1,
          optimizer: { lr: 1e-2, warmupSteps: 5 },
        },
        evaluation: { every: 12 },
      });
      await train(config);
      const dtypes = new Set(allocate.mock.calls.map(([dtype]) => dtype));
      allocate.mockRestore();
      return { losses: toldOf(config).map(({ loss }) => loss), dtypes };
    };
    const expected = await of('highest');
    const actual = await of('medium');
    setMatmulPrecision('highest');
    expect(expected.dtypes).not.toContain('bf16');
    expect(actual.dtypes).toContain('bf16');
    // It learns, and rounding, 2^-9 of each number with random signs, hardly changes by how much.
    expect(expected.losses.at(-1)! / expected.losses[0]!).toBeLessThan(0.75);
    actual.losses.forEach((loss, i) => expect(Math.abs(loss / expected.losses[i]! - 1)).toBeLessThan(1e-2));
  }, 120_000);

  it.each<[string, PredictorTrainInput]>([
    [
      'decisions, with dropout, two micro-batches and positions that change',
      { model: { blockSize: 32 }, data: { shiftEvery: 1 } },
    ],
    ['the linear readout, through the executor', { accumulate: 1, model: { readout: 'linear' } }],
    ['activations and working copies of the weights in bf16', { accumulate: 1, matmulPrecision: 'medium' }],
  ])('repeats its steps as graphs, with the bits of their operations one by one: %s', async (name, input) => {
    const config = tiny(name, { maxSteps: 8, ...input });
    const expected = writtenOut(config);
    const counts = onEmulator ? emulator().counts : null;
    const before = counts?.();
    const { model } = await train(config);
    expect(toldOf(config)).toEqual(expected.told);
    expect(Buffer.compare(model.save(), expected.weights)).toBe(0);
    setMatmulPrecision('highest');
    if (!counts || !before) return;
    // A length is learned from in one of two states: as the first of a step, or after others. The first call of each is no graph.
    const steps = batchesOf(config);
    const lengths = steps.flatMap((batches) =>
      batches.map(({ shape }, i) => `${shape[1]} ${i > 0 ? 'more' : 'first'}`),
    );
    const positions = new Set(steps.flat().map(({ position }) => position));
    if (config.data.shiftEvery > 0) expect(positions.size).toBeGreaterThan(2);
    const repeated = lengths.length - new Set(lengths).size;
    expect(repeated).toBeGreaterThan(lengths.length / 2);
    const { graphLaunches, graphs } = counts();
    expect(graphLaunches - before.graphLaunches).toBe(repeated + config.maxSteps - 1);
    expect(graphs).toBe(before.graphs);
  });

  it.each<[string, Partial<LanguageTrainInput>]>([
    ['plain text', { model: { depth: 0 } }],
    ['with calculations', { model: { branchLayers: 1, textLayers: 1 } }],
  ])(
    'learns as a language model by graphs of few shapes, with the bits of each operation: %s',
    (_, input) => {
      setDefaultDevice('cuda');
      const config = writing('graphs', input);
      const task = languageTask(config);
      const [model, other] = [1, 2].map(() => new DagGpt(languageModelConfig(config), { seed: 1 })) as [
        DagGpt,
        DagGpt,
      ];
      const { losses: weights } = config;
      const before = onEmulator ? emulator().counts() : null;
      const shapes: string[] = [];
      for (let i = 0; i < 16; i++) {
        const batch = languageBatch({ ...languageStreamConfig(config), fewShapes: true }, 'train', i);
        shapes.push(shapeOf(batch));
        for (const p of [model, other].flatMap(({ parameters }) => [...parameters.values()])) {
          p.grad ??= zeros(p.shape);
          p.zeroGrad();
        }
        const counts = languageTokens(batch);
        const [actual, expected] = [
          () => task.learn(model, batch, { counts, weights, dropoutSeed: i }),
          () => learnFrom(languageLosses(other, languageInputs(other, batch, weights, counts), weights, i)),
        ].map((learn) =>
          scope(() => {
            const { names, values } = learn();
            return { names, values: values.dataSync() };
          }),
        );
        expect(actual).toEqual(expected);
        expect(gradientsOf(model.parameters)).toEqual(gradientsOf(other.parameters));
      }
      const kinds = new Set(shapes).size;
      expect(kinds).toBeGreaterThan(1);
      expect(kinds).toBeLessThan(shapes.length / 2);
      // The first batch of each shape is no graph.
      if (before)
        expect(emulator().counts().graphLaunches - before.graphLaunches).toBe(shapes.length - kinds);
      task.release!();
    },
  );

  (onEmulator ? it : it.skip)('takes no more memory once the steps of all shapes are recorded', () => {
    setDefaultDevice('cuda');
    const config = writing('memory', { model: { depth: 0 } });
    const task = languageTask(config);
    const model = new DagGpt(languageModelConfig(config), { seed: 1 });
    const used = Array.from({ length: 4 }, () => {
      for (let i = 0; i < 6; i++) {
        const batch = languageBatch({ ...languageStreamConfig(config), fewShapes: true }, 'train', i);
        for (const p of model.parameters.values()) {
          p.grad ??= zeros(p.shape);
          p.zeroGrad();
        }
        const step = { counts: languageTokens(batch), weights: config.losses, dropoutSeed: i };
        scope(() => void task.learn(model, batch, step));
      }
      return emulator().used();
    });
    expect(used[3]).toBe(used[2]);
    task.release!();
  });

  it('refuses a token outside the vocabulary in each call of a recorded step, and learns on', () => {
    setDefaultDevice('cuda');
    const config = writing('refused', { model: { depth: 0 }, data: { arithmetic: 0 } });
    const task = languageTask(config);
    const model = new DagGpt(languageModelConfig(config), { seed: 1 });
    const batch = languageBatch({ ...languageStreamConfig(config), fewShapes: true }, 'train', 0);
    const learn = (of: LanguageBatch): ArrayLike<number> =>
      scope(() => {
        for (const p of model.parameters.values()) p.grad = null;
        const step = { counts: languageTokens(of), weights: config.losses, dropoutSeed: 1 };
        return task.learn(model, of, step).values.dataSync();
      });
    const wrong = [
      { ...batch, tokens: batch.tokens.with(5, 100) },
      { ...batch, targets: batch.targets.with(5, 100) },
    ];
    const first = learn(batch);
    for (let call = 0; call < 3; call++) {
      for (const of of wrong) expect(() => learn(of)).toThrow(/100/);
      expect(learn(batch)).toEqual(first);
    }
    task.release!();
  });

  it('begins on its device with the weights of another language model', async () => {
    setDefaultDevice('cpu');
    const { checkpoint } = await trainLanguageModel(
      writing('plain', { device: 'cpu', maxSteps: 1, model: { depth: 0 } }),
    );
    setDefaultDevice('cpu');
    const { model } = await trainLanguageModel(writing('branch', { maxSteps: 1, weights: checkpoint }));
    expect(model.device).toBe('cuda');
  });

  it('trains a language model to the losses that the reference, which records and pads nothing, has', async () => {
    const losses = async (device: 'cuda' | 'reference'): Promise<number[]> => {
      const config = writing(`writing-${device}`, { device, maxSteps: 8, model: { dropout: 0 } });
      await trainLanguageModel(config);
      return toldOf(config).map(({ loss }) => loss);
    };
    const [actual, expected] = [await losses('cuda'), await losses('reference')];
    expect(actual).toHaveLength(8);
    actual.forEach((loss, i) => expect(loss / expected[i]!).toBeCloseTo(1, 4));
  });
});
