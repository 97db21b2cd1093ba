import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadConfig } from '../src/config/load.js';
import {
  defineConfig,
  fieldsFor,
  parseConfig as parse,
  type TrainConfigInput,
} from '../src/config/config.js';
import { describeConfig } from '../src/config/help.js';
import { parseTaskConfig } from '../src/config/task.js';
import { TrainError } from '../src/error.js';
import { trainLanguageModel } from '../src/language/language-task.js';
import { loadModel, train } from '../src/predictor/predictor-task.js';

/** Of any input, as JavaScript may give it. */
const parseConfig = (input: unknown) => parse(input as TrainConfigInput);
const FIELDS = fieldsFor({}).filter(({ only }) => only === undefined);

/** The lines of the error that `make` ends in. */
async function problems(make: () => unknown): Promise<string[]> {
  try {
    await make();
  } catch (error) {
    if (!(error instanceof TrainError)) throw error;
    expect(error.code).toBe('bad-config');
    return error.message.split('\n');
  }
  throw new Error('nothing was thrown');
}

describe('parseConfig', () => {
  test.each<TrainConfigInput>([{}, { outDir: 'x' }, { kind: 'language', data: { arithmetic: 1 } }])(
    'of what it gave for %j has the same bytes as JSON',
    (input) => {
      const json = JSON.stringify(parse(input));
      expect(JSON.stringify(parseConfig(JSON.parse(json)))).toBe(json);
    },
  );

  test('fills in every field', () => {
    const config = parseConfig({});
    for (const { path } of FIELDS.filter(({ path }) => path !== 'init_from')) {
      let value: unknown = config;
      for (const key of path.split('.')) value = Object(value)[key];
      expect([path, value]).not.toEqual([path, undefined]);
    }
    expect(config).toMatchObject({
      name: 'predictor-small',
      seed: 0,
      outDir: 'runs/predictor-small',
      resume: false,
      weights: 'scratch',
      accumulate: 1,
      model: { depth: 3, blockSize: 32, nLayer: 2, nHead: 2, nEmbd: 32, readout: 'decisions' },
      optimizer: { lr: 3e-3, minLrRatio: 0.05, beta1: 0.9, beta2: 0.98, weightDecay: 0.01, clip: 1 },
      checkpoint: { keep: 2 },
    });
    expect(parseConfig(config)).toEqual(config);
  });

  test('names the run folder after the run', () => {
    expect(parseConfig({ name: 'wide' }).outDir).toBe('runs/wide');
    expect(parseConfig({ name: 'wide', outDir: '/data/x' }).outDir).toBe('/data/x');
  });

  test.each([
    ['scratch', { resume: false, weights: 'scratch' }],
    ['resume', { resume: true, weights: 'scratch' }],
    ['latest', { resume: true, weights: 'scratch' }],
    ['best', { resume: 'best', weights: 'scratch' }],
    ['pretrained', { resume: false, weights: 'pretrained' }],
    ['runs/other', { resume: false, weights: 'runs/other' }],
  ])('reads init_from %s as what it means today', (init_from, expected) => {
    const config = parseConfig({ init_from });
    expect(config).toMatchObject(expected);
    expect(config).not.toHaveProperty('init_from');
  });

  test('trains decisions on their own losses and linear heads on the plan losses', () => {
    const enabled = (config: unknown): string[] =>
      Object.entries(parseConfig(config).losses).flatMap(([name, weight]) => (weight > 0 ? [name] : []));
    const decisions = ['operators', 'nesting', 'complete'];
    const plan = ['magnitude', 'sign', 'operand', 'domain', 'execution'];
    expect(enabled({})).toEqual(decisions);
    expect(enabled({ model: { readout: 'linear' } })).toEqual(plan);
    expect(enabled({ losses: { execution: 0.1 } })).toEqual([...decisions, 'execution']);
    expect(enabled({ model: { readout: 'linear' }, losses: { execution: 0 } })).not.toContain('execution');
  });

  test('reports every wrong key and every wrong value, a line each', async () => {
    const config = {
      model: { nembd: 64, dropout: 1, nLayer: '2', readout: 'mlp' },
      data: { workers: 0, negatedGroups: 1.5 },
      optimizer: 5,
      losses: { digit: 1, execution: { enabled: true } },
      dropout: 0,
      qqqq: 1,
      logEvery: Number.NaN,
      init_from: '',
    };
    expect((await problems(() => parseConfig(config))).toSorted()).toEqual(
      [
        'unknown key model.nembd; did you mean model.nEmbd?',
        'model.dropout is 1; allowed: a number ≥ 0 and < 1',
        "model.nLayer is '2'; allowed: a whole number ≥ 1 and ≤ 1000",
        "model.readout is 'mlp'; allowed: 'decisions' or 'linear'; for a readout of your own load the module that adds it: `NODE_OPTIONS=--import=./readout.js dag …`, or import it in a configuration in .ts or .js",
        'data.workers is 0; allowed: a whole number ≥ 1',
        'data.negatedGroups is 1.5; allowed: a number ≥ 0 and ≤ 1',
        'optimizer is 5; allowed: an object of keys and values',
        'unknown loss digit; there are operators, nesting, complete, magnitude, sign, operand, domain, execution',
        'losses.execution is an object; allowed: a number ≥ 0 and ≤ 1000000',
        'unknown key dropout; did you mean model.dropout?',
        'unknown key qqqq',
        'logEvery is NaN; allowed: a whole number ≥ 1',
        "init_from is ''; allowed: a nonempty text",
      ].toSorted(),
    );
  });

  test.each([undefined, null, 5, 'text', []])('refuses %p as a configuration', async (input) => {
    expect(await problems(() => parseConfig(input))).toEqual([
      expect.stringMatching(/^the configuration is .*; allowed: an object of keys and values$/),
    ]);
  });

  test('wants a width that the heads divide, though other fields are wrong', async () => {
    expect(await problems(() => parseConfig({ seed: 2 ** 32 }))).toEqual([
      `seed is ${2 ** 32}; allowed: a whole number ≥ 0 and ≤ ${2 ** 32 - 1}`,
    ]);
    expect(await problems(() => parseConfig({ seed: -1, model: { nEmbd: 30, nHead: 4 } }))).toEqual([
      `seed is -1; allowed: a whole number ≥ 0 and ≤ ${2 ** 32 - 1}`,
      'model.nEmbd is 30; allowed: a multiple of model.nHead, which is 4',
    ]);
  });

  test('wants a layout that holds the numbers of the data', async () => {
    const config = { model: { digits: 4 }, data: { maxDigits: 3, maxDecimals: 2 } };
    expect(await problems(() => parseConfig(config))).toEqual([
      'model.digits is 4; allowed: at least 5, as data.maxDigits is 3 and data.maxDecimals 2',
    ]);
    expect(parseConfig({ ...config, model: { digits: 4, readout: 'linear' } })).toHaveProperty(
      'data.maxDigits',
      3,
    );
  });

  test('refuses losses on decisions of a readout without them, and no loss at all', async () => {
    const nesting = { model: { readout: 'linear' }, losses: { nesting: 1 } };
    expect(await problems(() => parseConfig(nesting))).toEqual([
      'unknown loss nesting; there are magnitude, sign, operand, domain, execution',
    ]);
    const none = { operators: 0, nesting: 0, complete: 0 };
    expect(await problems(() => parseConfig({ losses: none }))).toEqual([
      'losses: all weights are 0, so nothing would be trained',
    ]);
  });

  test('refuses a name that would lead out of runs/', async () => {
    expect(await problems(() => parseConfig({ name: '../elsewhere' }))).toHaveLength(1);
  });
});

test('a task from outside has the keys of every run, its own model and data, and its own losses', async () => {
  const task = { kind: 'curve', losses: { squared: 1, absolute: 0 } };
  const config = parseTaskConfig(
    { model: { width: 3 }, data: { noise: 0.1 }, losses: { absolute: 2 } },
    task,
  );
  expect(config).toMatchObject({
    ...{ kind: 'curve', maxSteps: 2000, model: { width: 3 } },
    ...{ data: { noise: 0.1, workers: 1, prefetch: 8 }, losses: { squared: 1, absolute: 2 } },
  });
  expect(await problems(() => parseTaskConfig({ maxSteps: 0, losses: { cubic: 1 } }, task))).toEqual([
    'maxSteps is 0; allowed: a whole number ≥ 1',
    'unknown loss cubic; there are squared, absolute',
  ]);
});

test('a task from outside has a kind of its own', async () => {
  expect(await problems(() => parseTaskConfig({}, { kind: '', losses: {} }))).toEqual([
    "kind of a task must be a nonempty text, given ''",
  ]);
  expect(await problems(() => parseTaskConfig({}, { kind: 'predictor', losses: { squared: 1 } }))).toEqual([
    "kind 'predictor' is a task of @dag/train; give your own task another kind",
  ]);
  const { losses } = parseConfig({});
  expect(parseTaskConfig({}, { kind: 'predictor', losses }).kind).toBe('predictor');
});

describe('describeConfig', () => {
  test('lists every key with its default within 80 columns', () => {
    const lines = describeConfig().split('\n');
    for (const { path } of FIELDS) expect(lines.some((line) => line.startsWith(`  ${path} `))).toBe(true);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines).toContain('  model.nEmbd            width, a multiple of nHead [32]');
    expect(describeConfig()).not.toContain('undefined');
  });
});

describe('loadConfig', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dag-config-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  test('without a file gives the configuration of npm start', async () => {
    expect(await loadConfig()).toEqual(await loadConfig('predictor'));
  });

  test('knows the built-in configuration, which is also a file', async () => {
    const path = fileURLToPath(new URL('../configs/predictor-small.ts', import.meta.url));
    const config = await loadConfig('predictor-small', {});
    expect(config.name).toBe('predictor-small');
    expect(await loadConfig(path, {})).toEqual(config);
  });

  test.each([
    [
      'a.ts',
      "import { defineConfig } from '@dag/train';\nconst nEmbd: number = 48;\nexport default defineConfig({ model: { nEmbd } });",
    ],
    ['b.js', 'export default { model: { nEmbd: 48 } };'],
    ['c.mjs', 'export default { model: { nEmbd: 48 } };'],
    ['d.json', '{ "model": { "nEmbd": 48 } }'],
    ['byte-order-mark.json', '\uFEFF{ "model": { "nEmbd": 48 } }'],
    ['byte-order-mark.ts', '\uFEFFexport default { model: { nEmbd: 48 } };'],
  ])('loads %s, from a folder without packages', async (name, text) => {
    const config = await loadConfig(await file(name, text), {});
    expect(config).toEqual(parseConfig(defineConfig({ model: { nEmbd: 48 } })));
  });

  test.each([
    ['missing.ts', null, 'cannot be read: ENOENT'],
    ['syntax.ts', 'export default {', 'cannot be loaded: '],
    ['syntax.json', '{', 'cannot be loaded: '],
    ['throws.mjs', "throw new Error('on purpose')", 'cannot be loaded: Error: on purpose'],
    ['empty.ts', 'export const model = {};', 'has no default export'],
    [
      'config.yaml',
      'a: 1',
      'is no built-in configuration (predictor, predictor-small, language-small, language, finetune-gpt2, reading, problems, writing) and no .ts, .js, .mjs, .json file',
    ],
    ['toString', null, 'is no built-in configuration'],
  ])('says why %s is not to be had', async (name, text, message) => {
    const path = text === null ? join(folder, name) : await file(name, text);
    const [line] = await problems(() => loadConfig(name === 'toString' ? name : path, {}));
    expect(line).toContain(message);
    expect(line).toContain(name);
  });

  test('suggests the built-in configuration that a name is nearly', async () => {
    for (const [wrong, right] of [
      ['predictr', 'predictor'],
      ['langauge-small', 'language-small'],
    ] as const)
      await expect(problems(() => loadConfig(wrong, {}))).resolves.toEqual([
        expect.stringMatching(`^${wrong}: is no built-in configuration .*; did you mean ${right}\\?$`),
      ]);
    const [line] = await problems(() => loadConfig('gpt', {}));
    expect(line).not.toMatch(/did you mean/);
  });

  test('reads no file without an end', async () => {
    const path = join(folder, 'endless.json');
    await symlink('/dev/zero', path);
    await expect(problems(() => loadConfig(path, {}))).resolves.toEqual([
      `${path}: has more than 1048576 bytes, which is the limit`,
    ]);
  });

  test('takes the options of the command line before the file', async () => {
    const path = await file('f.json', '{ "seed": 3, "batchSize": 8, "model": { "nEmbd": 16 } }');
    const config = await loadConfig(path, {
      'model.nEmbd': '64',
      batchSize: '32',
      'losses.execution': '0.2',
      tokenizer: 'gpt2',
      name: '12',
      outDir: 'true',
    });
    expect(config).toMatchObject({
      seed: 3,
      batchSize: 32,
      tokenizer: 'gpt2',
      name: '12',
      outDir: 'true',
      model: { nEmbd: 64 },
      losses: { execution: 0.2 },
    });
  });

  test('an option repairs a wrong value of the file', async () => {
    const path = await file('g.json', '{ "seed": "x" }');
    expect((await loadConfig(path, { seed: '5' })).seed).toBe(5);
  });

  test('matches options without regard to case, - and _, and by the last part of the key', async () => {
    const config = await loadConfig('predictor-small', {
      'init-from': 'latest',
      OUT_DIR: 'x',
      nEmbd: '64',
      lr: '1e-3',
      'Optimizer.Warmup-Steps': '7',
      execution: '0.2',
      seed: '9',
      digits: '5',
    });
    expect(config).toMatchObject({
      resume: true,
      outDir: 'x',
      seed: 9,
      model: { nEmbd: 64, digits: 5 },
      optimizer: { lr: 1e-3, warmupSteps: 7 },
      losses: { execution: 0.2 },
      evaluation: { seed: 1 },
    });
  });

  test('names the file or the option of every problem', async () => {
    const path = await file('h.json', '{ "sed": 1, "model": { "nLayer": 0, "__proto__": 1 } }');
    const options = {
      every: '3',
      dropuot: '.1',
      'losses.execution': 'false',
      branchLayers: '2',
      'losses.foo': '1',
      optimizer: '1',
      'batch-size': 'many',
      nHead: '3',
      foo: '1',
    };
    expect((await problems(() => loadConfig(path, options))).toSorted()).toEqual(
      [
        '--every=3: could mean --checkpoint.every, --evaluation.every',
        '--dropuot=.1: unknown option; did you mean --model.dropout?',
        '--losses.execution=false: losses.execution is false; allowed: a number ≥ 0 and ≤ 1000000',
        '--losses.foo=1: unknown loss; there are --losses.operators, --losses.nesting, --losses.complete, --losses.magnitude, --losses.sign, --losses.operand, --losses.domain, --losses.execution',
        "--branchLayers=2: only a configuration of kind 'language' has this key",
        '--optimizer=1: is a group of options: --optimizer.lr, --optimizer.minLrRatio, --optimizer.beta1, --optimizer.beta2, --optimizer.eps, --optimizer.weightDecay, --optimizer.warmupSteps, --optimizer.clip',
        "--batch-size=many: batchSize is 'many'; allowed: a whole number ≥ 1",
        '--nHead=3: model.nEmbd is 32; allowed: a multiple of model.nHead, which is 3',
        '--foo=1: unknown option',
        `${path}: unknown key model.__proto__`,
        `${path}: unknown key sed; did you mean seed?`,
        `${path}: model.nLayer is 0; allowed: a whole number ≥ 1 and ≤ 1000`,
      ].toSorted(),
    );
  });
});

test('trainings and loaders say what makes the argument that they take', async () => {
  await expect(train({ name: 'x' } as never)).rejects.toMatchObject({
    code: 'bad-config',
    message: expect.stringContaining('parseConfig('),
  });
  await expect(trainLanguageModel({ name: 'x' } as never)).rejects.toMatchObject({ code: 'bad-config' });
  expect(() => loadModel('runs/x' as never)).toThrow(
    expect.objectContaining({
      code: 'bad-input',
      message: expect.stringContaining('resolveCheckpoint(path)'),
    }),
  );
});
