import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { scope } from '@dag/executor';
import { formatValue } from '@dag/expr';
import { DagGpt, decodeSafetensors, PLACE_CLASSES, tokenizer, type FileBytes } from '@dag/model';
import { readCheckpoint } from '../src/checkpoints/checkpoint.js';
import { parseConfig } from '../src/config/config.js';
import type { LanguageTrainConfig, LanguageTrainInput } from '../src/config/language.js';
import { LANGUAGE_LOSSES } from '../src/config/language.js';
import type { PrefixScore } from '../src/evaluation/evaluate.js';
import type { SeenScores } from '../src/evaluation/subject.js';
import { languageInputs, languageLosses, languageTokens } from '../src/language/language-losses.js';
import {
  heldOutTextLoss,
  languageModelConfig,
  languageStreamConfig,
  loadLanguageModel,
  trainLanguageModel,
} from '../src/language/language-task.js';
import { languageBatch, type LanguageBatch } from '../src/language/language-stream.js';
import { workedPrompts } from '../src/language/worked-line.js';
import { loadModel, train } from '../src/predictor/predictor-task.js';
import { ended } from './ended.js';
import { overlay } from './overlay.js';
import { runHere } from './run-here.js';

let root: string;
let text: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-language-'));
  text = join(root, 'text');
  await mkdir(text);
  const ids = tokenizer('char').encode('The quick brown fox jumps over the lazy dog. '.repeat(40));
  for (const name of ['train.bin', 'val.bin']) await writeFile(join(text, name), Uint16Array.from(ids));
});
beforeEach(() => void jest.spyOn(process.stderr, 'write').mockImplementation(() => true));
afterAll(async () => {
  jest.restoreAllMocks();
  await rm(root, { recursive: true });
});

/** Sums of two or three single digits by characters. */
function tiny(name: string, input: Partial<LanguageTrainInput> = {}): LanguageTrainConfig {
  const base: LanguageTrainInput = {
    kind: 'language',
    maxSteps: 6,
    batchSize: 4,
    logEvery: 1,
    outDir: join(root, name),
    model: { depth: 2, blockSize: 48, digits: 2 },
    data: { text, arithmetic: 0.5, maxDigits: 1, maxDecimals: 0 },
    optimizer: { warmupSteps: 3 },
    evaluation: { examples: 2, batches: 1, every: 100 },
    checkpoint: { every: 100 },
  };
  return parseConfig(overlay(base, input));
}

async function weights(config: LanguageTrainConfig): Promise<FileBytes> {
  const { checkpoint } = await trainLanguageModel(config);
  return (await readCheckpoint(checkpoint)).files.get('model.safetensors')!;
}

/** What `dag eval --json` prints last. */
interface Measured {
  readonly count: number;
  readonly prefixes: PrefixScore;
  readonly seen: SeenScores;
}

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));
const modelOf = (config: LanguageTrainConfig): DagGpt =>
  new DagGpt(languageModelConfig(config), { seed: config.seed });
const dag = async (...args: string[]): Promise<string> => {
  const outcome = await runHere(args, root);
  expect(outcome).toMatchObject({ code: 0 });
  return outcome.stdout;
};

describe('a language model that calculates', () => {
  it('learns to write values that it computes, of expressions that it never saw, between text that it reads', async () => {
    const config = tiny('learned', {
      maxSteps: 500,
      batchSize: 16,
      logEvery: 100,
      data: { arithmetic: 1 },
      optimizer: { lr: 6e-3, warmupSteps: 100 },
      evaluation: { examples: 50, every: 500 },
    });
    const { summary, checkpoint } = await trainLanguageModel(config);
    // 100 % after as many steps in each run that was tried; the share of right guesses would be a few percent.
    expect(summary!.exact).toBeGreaterThan(0.8);
    expect(summary!.plan).toBeGreaterThan(0.8);
    // The text repeats itself; a model that has learned nothing would have ln 100 = 4.6.
    expect(summary!.textLoss).toBeLessThan(1.5);

    const model = loadLanguageModel(await readCheckpoint(checkpoint));
    const { prompt, expected } = workedPrompts(languageStreamConfig(config), 20, 7).find(
      ({ prompt }) => model.generate(prompt, { maxNewTokens: 1 }).calculations.length > 0,
    )!;
    const { text: written, calculations } = model.generate(prompt, { temperature: 0, stop: '\n' });
    expect(written).toBe(formatValue(calculations[0]!.value));
    expect([calculations.length, calculations[0]!.at]).toEqual([1, 0]);

    const json = JSON.parse(await dag('generate', prompt, '--checkpoint', checkpoint, '--json')) as {
      text: string;
      calculations: { value: number }[];
    };
    expect(json.calculations[0]!.value).toBe(calculations[0]!.value);
    expect(json.text.startsWith(formatValue(calculations[0]!.value))).toBe(true);
    const file = join(root, 'mine.txt');
    await writeFile(file, `${prompt.replace(/=?\s*$/, '')}\n${prompt}\t${expected}\n`);
    const lines = (await dag('eval', '--checkpoint', checkpoint, '--expressions', file, '--json'))
      .trim()
      .split('\n');
    const answers = lines.map((line) => JSON.parse(line) as { value: number; ok: boolean; count?: number });
    expect(answers.map(({ value }) => value).slice(0, 2)).toEqual([
      calculations[0]!.value,
      calculations[0]!.value,
    ]);
    expect(answers[2]).toMatchObject({ count: 2, textLoss: null, seen: null, prefixes: null });
    const evaluated = (await dag('eval', '--checkpoint', checkpoint, '--examples=20', '--json')).trim();
    const measured = JSON.parse(evaluated.split('\n').at(-1)!) as Measured;
    expect(measured.count).toBe(20);
    expect(measured.prefixes.count).toBeGreaterThan(40);
    expect(measured.prefixes.right / measured.prefixes.count).toBeGreaterThan(0.8);
    expect(measured.seen.texts).toBe(measured.seen.of);
    const counts = Object.values(measured.seen.groups).map(({ count }) => count);
    // Each text is in a group by its beginning, and in one by its skeleton.
    expect(counts.reduce((a, b) => a + b)).toBe(40);
    expect(await dag('eval', '--checkpoint', checkpoint, '--examples=2')).toMatch(
      /^prefixes that are .* values right\n\nby overlap with \d+ of the \d+ training texts:$/m,
    );

    const page = async (): Promise<string> => {
      // A process keeps the texts that it has read.
      const words = [DAG, 'report', config.outDir, '--examples=2'];
      expect(await ended(process.execPath, words, { cwd: root })).toMatchObject({ code: 0 });
      return readFile(join(config.outDir, 'report.html'), 'utf8');
    };
    const whole = await page();
    expect(whole).toMatch(
      /on 50 held-out expressions[^]*Of the\s+\d+ prefixes[^]*By overlap with training texts/,
    );
    expect(whole).toContain('class="plan"');
    await rename(text, `${text}-gone`);
    expect(await page()).not.toContain('By overlap with training texts');
    await rename(`${text}-gone`, text);
    expect(await runHere(['predict', '1 + 2', '--checkpoint', checkpoint], root)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('expected a plan predictor; `dag generate` continues a text with it'),
    });
  }, 240_000);

  it('takes the same step in micro-batches as in one of all rows', async () => {
    // An eps that is not small beside the gradient: without it AdamW divides any scale away.
    const optimizer = { lr: 1, eps: 1, clip: 1e9, warmupSteps: 0 };
    const [one, two] = await Promise.all([
      trainLanguageModel(tiny('one', { batchSize: 8, maxSteps: 1, optimizer })),
      trainLanguageModel(tiny('two', { batchSize: 4, accumulate: 2, maxSteps: 1, optimizer })),
    ]);
    for (const [name, p] of one.model.parameters) {
      const other = two.model.parameters.get(name)!.dataSync();
      p.dataSync().forEach((w, i) => expect(w).toBeCloseTo(other[i]!, 5));
    }
  });

  it('ends with the same bits where it was stopped and resumed, and other workers made its batches', async () => {
    const whole = await weights(tiny('whole'));
    const stop = new AbortController();
    jest.spyOn(process.stderr, 'write').mockImplementation((line) => {
      if (String(line).startsWith('step 3/')) stop.abort();
      return true;
    });
    const config = tiny('stopped', { data: { workers: 2 } });
    expect(await trainLanguageModel(config, { signal: stop.signal })).toMatchObject({
      step: 3,
      summary: null,
    });
    expect(await weights(parseConfig({ ...config, resume: true }))).toEqual(whole);
  });

  it('trains the calculating branch alone where the backbone is frozen', async () => {
    const config = tiny('frozen', { freezeBackbone: true });
    const before = modelOf(config);
    const { model } = await trainLanguageModel(config);
    for (const [name, p] of model.parameters) {
      const same = Buffer.from(p.dataSync().buffer).equals(
        Buffer.from(before.parameters.get(name)!.dataSync().buffer),
      );
      expect([name, same]).toEqual([name, !/^(plan|gate|start|form)/.test(name)]);
    }
  });

  it('begins with a GPT without a branch, and leaves its text as it is', async () => {
    const plain = tiny('text-alone', { model: { depth: 0 } });
    const { checkpoint, model: before } = await trainLanguageModel(plain);
    const branch = { branchLayers: 1, textLayers: 1 };
    const config = tiny('with-branch', { weights: checkpoint, freezeBackbone: true, model: branch });
    const { model } = await trainLanguageModel(config);
    for (const [name, p] of before.parameters)
      expect([name, model.parameters.get(name)!.dataSync()]).toEqual([name, p.dataSync()]);
    expect(model.parameters.size).toBeGreaterThan(before.parameters.size);
    expect(await heldOutTextLoss(model, config, 1)).toBe(await heldOutTextLoss(before, config, 1));
    // The whole branch where only a part is new.
    const more = tiny('more', {
      weights: config.outDir,
      maxSteps: 1,
      optimizer: { lr: 1e-30, weightDecay: 0 },
    });
    const grown = { ...more, model: { ...more.model, ...branch, textLayers: 2 } };
    const { model: last } = await trainLanguageModel(parseConfig(grown));
    for (const name of ['gate.weight', 'branch.h.0.attn.c_attn.weight'])
      expect(last.parameters.get(name)!.dataSync()).toEqual(model.parameters.get(name)!.dataSync());
  });

  it('is a plain GPT at depth 0, for which values are text', async () => {
    const config = tiny('plain', { model: { depth: 0 }, data: { numbers: 2, arithmetic: 1, text: '' } });
    const { summary } = await trainLanguageModel(config);
    expect(summary).toMatchObject({ count: 2, textLoss: null });
    const lines = (await readFile(join(config.outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    const names = Object.keys(JSON.parse(lines[0]!) as object);
    expect(names).toEqual(['step', 'loss', 'next', 'lr', 'gradNorm', 'stepMs']);
    const { targets, gate, expressions, tokens } = languageBatch(languageStreamConfig(config), 'train', 0);
    expect([gate.some((g) => g === 1), expressions]).toEqual([false, null]);
    targets.forEach((id, i) => id >= 0 && (i + 1) % 48 !== 0 && expect(id).toBe(tokens[i + 1]));
  });

  it('is told apart from a plan predictor', async () => {
    const language = await trainLanguageModel(tiny('a-language', { maxSteps: 1 }));
    const predictor = await train(
      parseConfig({ maxSteps: 1, outDir: join(root, 'a-predictor'), evaluation: { examples: 2 } }),
    );
    const read = (folder: string) => readCheckpoint(folder);
    const wrong = await read(language.checkpoint);
    expect(() => loadModel(wrong)).toThrow('holds a language model, expected a plan predictor');
    const other = await read(predictor.checkpoint);
    expect(() => loadLanguageModel(other)).toThrow('holds a plan predictor, expected a language model');
    const config = tiny('mixed-up', { weights: predictor.checkpoint });
    await expect(trainLanguageModel(config)).rejects.toMatchObject({ code: 'bad-config' });
  });
});

describe('a run from GPT-2', () => {
  const published = fileURLToPath(new URL('../../model/test/fixtures/gpt2', import.meta.url));
  const sizes = { nLayer: 2, nHead: 2, nEmbd: 16, activation: 'geluTanh' } as const;
  const config = (name: string, input: Partial<LanguageTrainInput> = {}): LanguageTrainConfig =>
    tiny(name, {
      weights: published,
      tokenizer: 'gpt2',
      maxSteps: 1,
      freezeBackbone: true,
      data: { text: '', arithmetic: 1 },
      ...input,
      model: { blockSize: 12, ...sizes, ...input.model },
    });
  const { n_layer, n_head, n_embd } = JSON.parse(
    readFileSync(join(published, 'config.json'), 'utf8'),
  ) as Record<'n_layer' | 'n_head' | 'n_embd', number>;

  it('begins with its weights, and goes on from its own checkpoints', async () => {
    expect([n_layer, n_head, n_embd]).toEqual([sizes.nLayer, sizes.nHead, sizes.nEmbd]);
    const { model, step } = await trainLanguageModel(config('gpt2', { model: { blockSize: 12 } }));
    expect(step).toBe(1);
    const file = decodeSafetensors(readFileSync(join(published, 'model.safetensors'))).tensors;
    const weight = file.get('h.0.ln_1.weight') ?? file.get('transformer.h.0.ln_1.weight')!;
    expect(Array.from(model.parameters.get('h.0.ln_1.weight')!.dataSync())).toEqual(
      Array.from(weight.data as Float32Array),
    );
    const more = config('gpt2', { resume: true, maxSteps: 2 });
    expect((await trainLanguageModel(more)).step).toBe(2);
  });

  it('says which sizes it needs, and which tokens', async () => {
    await expect(
      trainLanguageModel(config('other', { model: { blockSize: 12, nLayer: 3 } })),
    ).rejects.toThrow(`model.nLayer is 3; allowed: 2, as weights is ${published}`);
    await expect(trainLanguageModel(config('chars', { tokenizer: 'char' }))).rejects.toThrow(
      'tokenizer is char; allowed: gpt2',
    );
  });
});

describe('its losses', () => {
  const config = (input: Partial<LanguageTrainInput> = {}): LanguageTrainConfig => tiny('losses', input);
  const make = (): { model: DagGpt; batch: LanguageBatch } => ({
    model: modelOf(config()),
    batch: languageBatch(languageStreamConfig(config()), 'train', 0),
  });
  const lossesOf = (model: DagGpt, batch: LanguageBatch, weights: LanguageTrainConfig['losses']) =>
    languageLosses(model, languageInputs(model, batch, weights, languageTokens(batch)), weights);
  const only = (name: string): LanguageTrainConfig['losses'] => {
    const { losses } = config();
    return Object.fromEntries(
      Object.entries(losses).map(([key, weight]) => [key, key === name ? weight || 1 : 0]),
    );
  };

  it('are −ln p of what is right, each a mean over the tokens that are asked', () => {
    const { model, batch } = make();
    const { parts } = lossesOf(model, batch, config().losses);
    const { hidden, gate, start, form } = model.forward(batch.tokens, batch.shape);
    const asked = (logits: ArrayLike<number>, target: Uint8Array, mask: Uint8Array): number => {
      let [sum, count] = [0, 0];
      mask.forEach((known, i) => {
        const p = 1 / (1 + Math.exp(-logits[i]!));
        if (known) [sum, count] = [sum - Math.log(target[i] ? p : 1 - p), count + 1];
      });
      return sum / count;
    };
    expect(parts.get('gate')!.item()).toBeCloseTo(asked(gate!.dataSync(), batch.gate, batch.gateKnown), 5);
    const { shape, index, last, places, grouped, spaced, written } = batch.expressions!;
    const [queries, keys] = [start!.query, start!.key].map((x) => x.dataSync()) as [
      Float32Array,
      Float32Array,
    ];
    const d = start!.query.shape[2]!;
    let ofStarts = 0;
    const forms = form!.dataSync();
    let [ofForms, values] = [0, 0];
    last.forEach((l, m) => {
      if (l < 0) return;
      const gateAt = index[m * shape[1] + l]!;
      const [, T] = batch.shape;
      // All tokens of the row since the result before.
      const tokens = Array.from({ length: (gateAt % T) + 1 }, (_, i) => gateAt - i);
      const before = tokens.findIndex((t, i) => i > 0 && batch.gate[t] === 1);
      const fits = (t: number): number =>
        queries.slice(gateAt * d, (gateAt + 1) * d).reduce((sum, q, i) => sum + q * keys[t * d + i]!, 0) /
        Math.sqrt(d);
      const all = (before < 0 ? tokens : tokens.slice(0, before)).reduce(
        (sum, t) => sum + Math.exp(fits(t)),
        0,
      );
      ofStarts += Math.log(all) - fits(index[m * shape[1]]!);
      const at = gateAt * (PLACE_CLASSES + 3);
      const commas = forms[at + PLACE_CLASSES + Number(Math.abs(written[m]!) >= 10_000)]!;
      const blank = forms[at + PLACE_CLASSES + 2]!;
      const exps = Array.from(forms.slice(at, at + PLACE_CLASSES), Math.exp);
      const right = exps.reduce((sum, e, c) => sum + e * places[m * PLACE_CLASSES + c]!, 0);
      const binary = (logit: number, target: number): number =>
        target < 0 ? 0 : Math.log1p(Math.exp(target === 1 ? -logit : logit));
      ofForms += binary(commas, grouped[m]!) + binary(blank, spaced[m]!);
      ofForms -= Math.log(right / exps.reduce((a, b) => a + b));
      values++;
    });
    expect(parts.get('form')!.item()).toBeCloseTo(ofForms / values, 5);
    expect(parts.get('start')!.item()).toBeCloseTo(ofStarts / values, 5);
    const logits = model.logits(hidden).dataSync();
    let [sum, count] = [0, 0];
    batch.targets.forEach((id, i) => {
      if (id < 0) return;
      const row = Array.from(logits.slice(i * 100, (i + 1) * 100));
      const logSum = Math.log(row.reduce((a, x) => a + Math.exp(x), 0));
      [sum, count] = [sum + logSum - row[id]!, count + 1];
    });
    expect(parts.get('next')!.item()).toBeCloseTo(sum / count, 4);
  });

  it.each([...Object.keys(LANGUAGE_LOSSES), 'nesting', 'operators', 'execution'])(
    '%s trains the backbone',
    (name) => {
      const { model, batch } = make();
      scope(() => lossesOf(model, batch, only(name)).total.backward());
      const gradient = model.parameters.get('h.0.mlp.c_fc.weight')!.grad!.dataSync();
      expect(gradient.some((g) => g !== 0)).toBe(true);
      expect(gradient.every(Number.isFinite)).toBe(true);
    },
  );

  it.each<[string, LanguageTrainInput['model']]>([
    ['of a plain GPT', { depth: 0 }],
    ['of one that calculates', { branchLayers: 1, textLayers: 1 }],
  ])('and their gradients are the same where its batches are padded to few shapes: %s', (_, sizes) => {
    const input = config({
      ...{ batchSize: 44, data: { text, arithmetic: 1 } },
      model: { nLayer: 1, nEmbd: 8, nHead: 2, ...sizes },
    });
    const all = { ...input.losses, magnitude: 1, operand: 1 };
    const learned = [false, true].map((fewShapes) => {
      const model = modelOf(input);
      const batch = languageBatch({ ...languageStreamConfig(input), fewShapes }, 'train', 0);
      const { total, parts } = lossesOf(model, batch, input.model.depth === 0 ? input.losses : all);
      total.backward();
      const { targetRows, expressions } = batch;
      return { model, parts, sizes: [targetRows, expressions?.shape[0]] };
    });
    const [some, few] = learned as [(typeof learned)[number], (typeof learned)[number]];
    few.sizes.forEach((size, i) => size && expect(size).toBeGreaterThan(some.sizes[i]!));
    expect([...few.parts.keys()]).toEqual([...some.parts.keys()]);
    for (const [name, loss] of some.parts) {
      expect(loss.item()).toBeGreaterThan(0);
      expect(few.parts.get(name)!.item() / loss.item()).toBeCloseTo(1, 5);
    }
    for (const [name, p] of some.model.parameters) {
      const [expected, actual] = [p, few.model.parameters.get(name)!].map((of) => of.grad!.dataSync());
      const size = Math.hypot(...expected!);
      expect([name, size > 0]).toEqual([name, true]);
      expect(Math.hypot(...expected!.map((g, i) => g - actual![i]!)) / size).toBeLessThan(1e-4);
    }
  });

  it('of text is ln of the vocabulary before anything is learned', async () => {
    const model = modelOf(config());
    expect(await heldOutTextLoss(model, config())).toBeCloseTo(Math.log(100), 1);
    expect(await heldOutTextLoss(model, config({ data: { text: '', arithmetic: 1 } }))).toBeNull();
  });
});

describe('its configuration', () => {
  it.each([
    [
      { kind: 'language' },
      'data.arithmetic is 0.5; allowed: 1, as data.text names no folder that `dag prepare` made',
    ],
    [{ model: { depth: 0 } }, 'model.depth is 0; allowed: a whole number ≥ 1'],
    [
      { losses: { gate: 1 } },
      'unknown loss gate; there are operators, nesting, complete, magnitude, sign, operand, domain, execution',
    ],
    [
      { freezeBackbone: true },
      "unknown key freezeBackbone; only a configuration of kind 'language' has this key",
    ],
    [{ weights: 'gpt2' }, "weights is 'gpt2'; allowed: only where kind is 'language'"],
    [
      { model: { branchLayers: 2 } },
      "unknown key model.branchLayers; only a configuration of kind 'language' has this key",
    ],
    [
      { kind: 'language', data: { text: 'x' }, model: { depth: 0, branchLayers: 1 } },
      'model.branchLayers is 1; allowed: 0, as model.depth 0 has no such branch',
    ],
    [
      { kind: 'language', data: { text: 'x' }, model: { depth: 0, textLayers: 1 } },
      'model.textLayers is 1; allowed: 0, as model.depth 0 has no such branch',
    ],
    [
      { kind: 'language', data: { text: 'x' }, freezeBackbone: true, model: { depth: 0 } },
      'freezeBackbone is true; allowed: false, as a model of depth 0 has no calculating branch',
    ],
  ] as const)('refuses %j', (input, message) => {
    expect(() => parseConfig(input as LanguageTrainInput)).toThrow(message);
  });
});
