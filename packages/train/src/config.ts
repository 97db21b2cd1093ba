import leven from 'leven';
import { z } from 'zod';
import { isGpt2Name } from '@dag/model';
import { TrainError } from './error.js';

/** Losses on the registers of `readout: 'registers'`. */
export const REGISTER_LOSSES = ['digits', 'negative', 'operators', 'precedence', 'count'] as const;
/** Losses on the plan itself: V_mag, V_sign, O, G and the value it computes. */
export const PLAN_LOSSES = ['magnitude', 'sign', 'operand', 'domain', 'execution'] as const;

/** Losses of a language model: the next token, and when the executor writes instead. */
export const LANGUAGE_LOSSES = ['next', 'gate', 'start'] as const;

type Readout = 'registers' | 'linear';
type Kind = 'predictor' | 'language';

const count = z.int().min(1);
/** Seeds are words of 32 bits. */
const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const share = z.number().min(0).max(1);
const belowOne = z.number().min(0).lt(1);
/** Far beyond any use; more would keep a run busy for hours before its first step. */
const MOST = { layers: 1000, digits: 1000, prefetch: 1000, examples: 100_000 };

const MODEL = {
  depth: z
    .int()
    .min(0)
    .default(3)
    .describe('numbers, and operations, an expression may have; 0: a plain GPT'),
  blockSize: count.default(32).describe('tokens the model sees at once'),
  nLayer: count.max(MOST.layers).default(2).describe('transformer blocks'),
  nHead: count.default(2).describe('attention heads'),
  nEmbd: count.default(32).describe('width, a multiple of nHead'),
  dropout: belowOne.default(0).describe('probability of dropping an activation'),
  bias: z.boolean().default(true).describe('biases in linear layers and norms'),
  activation: z
    .enum(['gelu', 'geluTanh'])
    .default('gelu')
    .describe("gelu, or geluTanh: that of GPT-2's published weights"),
  readout: z
    .enum(['registers', 'linear'])
    .default('registers')
    .describe('registers, or linear: the baseline'),
  branchLayers: z
    .int()
    .min(0)
    .max(MOST.layers)
    .default(0)
    .describe('blocks of a language model that read expressions alone'),
  digits: z.int().min(1).max(15).default(3).describe('digits a number register holds'),
};

const DATA = {
  text: z.string().default('').describe('folder of prepared text for a language model; empty: none'),
  arithmetic: share.default(0.5).describe('share of its rows with worked arithmetic, 12.5 * 4 = 50'),
  numbers: count.optional().describe('numbers, and operations, of an expression; left out, model.depth'),
  maxDigits: count.max(MOST.digits).default(2).describe('digits before the decimal point'),
  maxDecimals: z.int().min(0).max(MOST.digits).default(1).describe('digits after the decimal point'),
  style: z
    .enum(['spaced', 'compact', 'loose', 'words', 'question', 'mixed'])
    .default('spaced')
    .describe('spaced, compact, loose, words, question, mixed'),
  synonyms: share
    .default(0)
    .describe('share of texts in words with other words for the same: multiplied by, over, negative'),
  negatedGroups: share.default(0.1).describe('share of groups with a minus before them'),
  wholeNumbers: share.default(0).describe('share of expressions without decimals'),
  largest: share.default(0).describe('share of training texts with the most numbers, which are long'),
  shiftEvery: z.int().min(0).default(0).describe('steps until texts may begin a position later; 0: never'),
  workers: count.default(1).describe('threads that make batches; no more than there are cores'),
  prefetch: count.max(MOST.prefetch).default(8).describe('batches made ahead'),
};

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

const EVALUATION = {
  every: count.default(200).describe('steps between evaluations'),
  examples: count.max(MOST.examples).default(500).describe('held-out expressions'),
  batches: count.default(20).describe('held-out batches of text'),
  seed: seed.default(1).describe('seed of the held-out expressions'),
};

const CHECKPOINT = {
  every: count.default(500).describe('steps between checkpoints'),
  keep: count.default(2).describe('how many of the last are kept'),
};

const loss = (enabled: boolean, weight: number, on: string) =>
  z
    .strictObject({
      enabled: z.boolean().default(enabled).describe(`train ${on}`),
      weight: z.number().min(0).default(weight).describe('its weight in the sum'),
    })
    .prefault({});

/**
 * A readout is trained on what it predicts: registers on their contents, the linear heads on the plan. Of a language
 * model the executor is a part, and is trained through.
 */
const losses = (kind: Kind, readout: Readout) => ({
  next: loss(kind === 'language', 1, 'the next token'),
  gate: loss(kind === 'language', 1, 'when a value is written'),
  start: loss(kind === 'language', 1, 'where an expression begins'),
  digits: loss(readout === 'registers', 12, 'digits of the numbers'),
  negative: loss(readout === 'registers', 1, 'signs of the numbers'),
  operators: loss(readout === 'registers', 1, 'operator classes'),
  precedence: loss(readout === 'registers', 0.5, 'the order of operators'),
  count: loss(readout === 'registers', 10, 'the counter of numbers'),
  magnitude: loss(readout === 'linear', 1, 'V_mag'),
  sign: loss(readout === 'linear', 1, 'V_sign'),
  operand: loss(readout === 'linear', 1, 'O'),
  domain: loss(readout === 'linear', 1, 'G'),
  execution: loss(kind === 'language' || readout === 'linear', 0.1, 'the executed value'),
});

const trainConfig = (kind: Kind, readout: Readout) =>
  z.strictObject({
    kind: z
      .enum(['predictor', 'language'])
      .default('predictor')
      .describe('predictor, or language: a GPT that writes text and calculates'),
    name: z
      .string()
      .regex(/^\w[\w.-]*$/)
      .default('predictor-small')
      .describe('name of the run: letters, digits and _ . -'),
    seed: seed.default(0).describe('seed of the weights and the examples'),
    outDir: z.string().min(1).optional().describe('folder of the run; left out, runs/<name>'),
    init_from: z
      .string()
      .min(1)
      // Two names for one thing: the rest of the program need only know one.
      .overwrite((from) => (from === 'latest' ? 'resume' : from))
      .default('scratch')
      .describe('scratch, resume (or latest), best, pretrained, gpt2 (-medium, -large, -xl), or a path'),
    device: z
      .enum(['auto', 'cpu', 'cuda', 'reference'])
      .default('auto')
      .describe('auto, cpu, cuda or reference'),
    matmulPrecision: z
      .enum(['auto', 'highest', 'high', 'medium'])
      .default('auto')
      .describe('matrix products on cuda: highest (f32), high (TF32), medium (bf16); auto: as is set'),
    freezeBackbone: z
      .boolean()
      .default(false)
      .describe("train the calculating branch alone, not the language model's GPT"),
    tokenizer: z.enum(['gpt2', 'char']).default('char').describe('gpt2 or char'),
    maxSteps: count.default(2000).describe('optimiser steps'),
    batchSize: count.default(32).describe('expressions in a micro-batch'),
    accumulate: count.default(1).describe('micro-batches in a step'),
    logEvery: count.default(10).describe('steps between lines of the log'),
    model: z.strictObject(MODEL).prefault({}),
    data: z.strictObject(DATA).prefault({}),
    optimizer: z.strictObject(OPTIMIZER).prefault({}),
    losses: z.strictObject(losses(kind, readout)).prefault({}),
    evaluation: z.strictObject(EVALUATION).prefault({}),
    checkpoint: z.strictObject(CHECKPOINT).prefault({}),
  });

/** The defaults of losses depend on what is trained. */
const SCHEMAS = {
  predictor: { registers: trainConfig('predictor', 'registers'), linear: trainConfig('predictor', 'linear') },
  language: { registers: trainConfig('language', 'registers'), linear: trainConfig('language', 'linear') },
};

/** What a config file may say: everything is optional. */
export type TrainConfigInput = z.input<typeof SCHEMAS.predictor.registers>;
/** The configuration of a run, every field filled in; `init_from: 'latest'` has become `'resume'`. */
export type TrainConfig = z.output<typeof SCHEMAS.predictor.registers> & {
  outDir: string;
  data: { numbers: number };
};

/** Types a config file: `export default defineConfig({ model: { depth: 3 } })`. */
export function defineConfig(input: TrainConfigInput): TrainConfigInput {
  return input;
}

/**
 * Checks a configuration and fills in what it leaves out.
 * @throws TrainError `bad-config` with a line for each wrong key and each wrong value.
 */
export function parseConfig(input: unknown): TrainConfig {
  const result = checkConfig(input);
  if ('config' in result) return result.config;
  throw new TrainError('bad-config', result.problems.map((problem) => problem.message).join('\n'));
}

/** @throws {TrainError} `bad-config` for an object that `parseConfig` has not filled in: whoever has no types may give one. */
export function requireParsed(config: TrainConfig): void {
  const { outDir, model, data } = Object(config) as Partial<TrainConfig>;
  if (outDir === undefined || model?.depth === undefined || data?.numbers === undefined)
    throw new TrainError(
      'bad-config',
      'the configuration lacks keys that parseConfig fills in; give what parseConfig({ … }) or loadConfig(path) returns',
    );
}

/** `paths` are the dotted keys that are to blame. */
export interface ConfigProblem {
  readonly paths: readonly string[];
  readonly message: string;
}

/** `parseConfig` for callers that know where each value came from. */
export function checkConfig(input: unknown): { config: TrainConfig } | { problems: ConfigProblem[] } {
  const readout = readoutOf(input);
  const kind = kindOf(input);
  const parsed = SCHEMAS[kind][readout].safeParse(input);
  const problems = parsed.success ? [] : parsed.error.issues.flatMap((issue) => describeIssue(issue, input));
  problems.push(...crossProblems(input, kind, readout));
  if (!parsed.success || problems.length > 0) return { problems };
  const { outDir = `runs/${parsed.data.name}`, data, model } = parsed.data;
  return {
    config: {
      ...parsed.data,
      outDir,
      data: { ...data, numbers: data.numbers ?? (model.depth || DATA_NUMBERS) },
    },
  };
}

/** Numbers of an expression where the model has no depth to say it. */
const DATA_NUMBERS = 3;

function kindOf(input: unknown): Kind {
  const language = z.looseObject({ kind: z.literal('language') });
  return language.safeParse(input).success ? 'language' : 'predictor';
}

function readoutOf(input: unknown): Readout {
  const linear = z.looseObject({ model: z.looseObject({ readout: z.literal('linear') }) });
  return linear.safeParse(input).success ? 'linear' : 'registers';
}

/** What no field shows alone. Each section is read by itself, so that a fault elsewhere hides nothing here. */
function crossProblems(input: unknown, kind: Kind, readout: Readout): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const section = <T extends z.ZodRawShape>(key: string, shape: T) =>
    z.object(shape).safeParse(valueAt(input, [key]) ?? {}).data;
  const width = section('model', { nEmbd: MODEL.nEmbd, nHead: MODEL.nHead });
  const register = section('model', { digits: MODEL.digits });
  const numbers = section('data', { maxDigits: DATA.maxDigits, maxDecimals: DATA.maxDecimals });
  const sizes = section('data', { numbers: DATA.numbers });
  const room = section('model', { depth: MODEL.depth });
  const enabled = section('losses', losses(kind, readout));
  const text = section('data', { text: DATA.text, arithmetic: DATA.arithmetic });
  const top = z
    .looseObject({ init_from: z.string(), freezeBackbone: z.boolean() })
    .partial()
    .safeParse(input).data;

  if (kind === 'predictor' && room?.depth === 0) {
    const message = "model.depth is 0; allowed: at least 1, as kind is 'predictor'";
    problems.push({ paths: ['model.depth', 'kind'], message });
  }
  const layers = section('model', { branchLayers: MODEL.branchLayers })?.branchLayers ?? 0;
  if (layers > 0 && (kind === 'predictor' || room?.depth === 0)) {
    const why = kind === 'predictor' ? "kind is 'predictor'" : 'model.depth 0 has no such branch';
    const message = `model.branchLayers is ${layers}; allowed: 0, as ${why}`;
    problems.push({ paths: ['model.branchLayers', kind === 'predictor' ? 'kind' : 'model.depth'], message });
  }
  if (kind === 'predictor' && enabled) {
    for (const name of LANGUAGE_LOSSES.filter((name) => enabled[name].enabled)) {
      const message = `losses.${name}.enabled is true; allowed: false, as kind 'predictor' writes no text`;
      problems.push({ paths: [`losses.${name}.enabled`, 'kind'], message });
    }
  }
  if (kind === 'predictor' && (top?.freezeBackbone || isGpt2Name(top?.init_from ?? ''))) {
    const key = top?.freezeBackbone ? 'freezeBackbone' : 'init_from';
    const message = `${key} is ${shown(top?.[key])}; allowed: only where kind is 'language'`;
    problems.push({ paths: [key, 'kind'], message });
  }
  if (kind === 'language' && text && text.text === '' && text.arithmetic < 1) {
    const message = `data.arithmetic is ${text.arithmetic}; allowed: 1, as data.text names no folder of prepared text`;
    problems.push({ paths: ['data.arithmetic', 'data.text'], message });
  }
  if (top?.freezeBackbone && room?.depth === 0) {
    const message = 'freezeBackbone is true; allowed: false, as model.depth 0 leaves nothing else to train';
    problems.push({ paths: ['freezeBackbone', 'model.depth'], message });
  }
  if (room && room.depth > 0 && sizes?.numbers !== undefined && room && sizes.numbers > room.depth) {
    const message = `data.numbers is ${sizes.numbers}; allowed: at most model.depth, which is ${room.depth}`;
    problems.push({ paths: ['data.numbers', 'model.depth'], message });
  }
  if (width && width.nEmbd % width.nHead !== 0) {
    const message = `model.nEmbd is ${width.nEmbd}; allowed: a multiple of model.nHead, which is ${width.nHead}`;
    problems.push({ paths: ['model.nEmbd', 'model.nHead'], message });
  }
  if (
    register &&
    numbers &&
    readout === 'registers' &&
    numbers.maxDigits + numbers.maxDecimals > register.digits
  ) {
    const { maxDigits, maxDecimals } = numbers;
    const message =
      `model.digits is ${register.digits}; allowed: at least ${maxDigits + maxDecimals}, ` +
      `as data.maxDigits is ${maxDigits} and data.maxDecimals ${maxDecimals}`;
    problems.push({ paths: ['model.digits', 'data.maxDigits', 'data.maxDecimals'], message });
  }
  if (enabled && readout === 'linear') {
    for (const name of REGISTER_LOSSES.filter((name) => enabled[name].enabled)) {
      const message = `losses.${name}.enabled is true; allowed: false, as model.readout 'linear' has no registers`;
      problems.push({ paths: [`losses.${name}.enabled`, 'model.readout'], message });
    }
  }
  if (enabled && Object.values(enabled).every((loss) => !loss.enabled)) {
    const paths = Object.keys(enabled).map((name) => `losses.${name}.enabled`);
    problems.push({ paths, message: 'losses: none is enabled, so there is nothing to train' });
  }
  return problems;
}

function describeIssue(issue: z.core.$ZodIssue, input: unknown): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key].join('.');
      const near = nearestKey(path);
      return {
        paths: [path],
        message: `unknown key ${path}${near === null ? '' : `; did you mean ${near}?`}`,
      };
    });
  }
  const path = issue.path.join('.');
  const given = shown(valueAt(input, issue.path));
  const field = FIELDS.find((field) => field.path === path);
  const allowed = field ? allowedValues(field.schema) : 'an object of keys and values';
  return [{ paths: [path], message: `${path || 'the configuration'} is ${given}; allowed: ${allowed}` }];
}

/** A value in the words of a message. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const key of path) value = z.record(z.string(), z.unknown()).safeParse(value).data?.[String(key)];
  return value;
}

export interface ConfigField {
  /** The dotted key. */
  readonly path: string;
  readonly schema: z.core.JSONSchema.BaseSchema;
}

/** Every key that holds a value, in the order of the schema, with the defaults of a predictor that writes registers. */
export const FIELDS: readonly ConfigField[] = [
  ...fieldsOf(z.toJSONSchema(SCHEMAS.predictor.registers, { io: 'input' }), ''),
];

function* fieldsOf(section: z.core.JSONSchema.BaseSchema, prefix: string): Iterable<ConfigField> {
  for (const [key, schema] of Object.entries(section.properties ?? {})) {
    if (typeof schema === 'boolean') continue;
    if (schema.properties) yield* fieldsOf(schema, `${prefix}${key}.`);
    else yield { path: prefix + key, schema };
  }
}

function allowedValues(schema: z.core.JSONSchema.BaseSchema): string {
  if (schema.enum) return schema.enum.map((value) => `'${String(value)}'`).join(' or ');
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'string')
    return schema.pattern ? `a text that matches ${schema.pattern}` : 'a text that is not empty';
  const bounds = [
    schema.minimum !== undefined && `≥ ${schema.minimum}`,
    schema.exclusiveMinimum !== undefined && `> ${schema.exclusiveMinimum}`,
    schema.maximum !== undefined && schema.maximum !== Number.MAX_SAFE_INTEGER && `≤ ${schema.maximum}`,
    schema.exclusiveMaximum !== undefined && `< ${schema.exclusiveMaximum}`,
  ].filter((bound) => bound !== false);
  return `a ${schema.type === 'integer' ? 'whole ' : ''}number ${bounds.join(' and ')}`;
}

/** How keys are compared on the command line: `--init-from`, `--initFrom` and `--init_from` are one. */
export const foldKey = (key: string): string => key.toLowerCase().replaceAll(/[-_]/g, '');

const lastPart = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

/** The right key that a wrong one is likely to mean: nearly the same, or nearly the same name in another section. */
export function nearestKey(wrong: string): string | null {
  const full = foldKey(wrong);
  const name = lastPart(full);
  const sections = FIELDS.flatMap(({ path }) =>
    [...path.matchAll(/\./g)].map((dot) => path.slice(0, dot.index)),
  );
  const candidates = [...new Set([...FIELDS.map(({ path }) => path), ...sections])].map((path) => {
    const folded = foldKey(path);
    return { path, distance: Math.min(leven(full, folded), leven(name, lastPart(folded)) + 0.5) };
  });
  const best = candidates.reduce((a, b) => (b.distance < a.distance ? b : a));
  return best.distance <= Math.max(1, Math.floor(name.length / 3)) + 0.5 ? best.path : null;
}

/**
 * Every key with its description, a line each of at most 80 columns, for `dag train --help`; in brackets its value in
 * `preset`, and that of a configuration which leaves it out where that is another one.
 */
export function describeConfig(preset: TrainConfig = parseConfig({})): string {
  const column = Math.max(...FIELDS.map(({ path }) => path.length)) + 4;
  return FIELDS.map(({ path, schema }) => {
    const values = [valueAt(preset, path.split('.')), schema.default];
    const [value, other] = values.map((value) =>
      value === undefined || value === '' ? null : String(value),
    );
    const elsewhere = other !== null && other !== value ? `; ${other} in other configurations` : '';
    const text = value === null ? '' : ` [${value}${elsewhere}]`;
    return (
      `  ${path}`.padEnd(column) +
      wrap(`${schema.description}${text}`, 80 - column).join(`\n${' '.repeat(column)}`)
    );
  }).join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
