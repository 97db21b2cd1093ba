import type { z } from 'zod';
import { TrainError } from '../error.js';
import { describeIssue } from './describe.js';
import { fieldsOf, type ConfigField } from './fields.js';
import { LANGUAGE, type LanguageTrainConfig, type LanguageTrainInput } from './language.js';
import type { LossWeights } from './losses.js';
import { complete } from './model.js';
import { PREDICTOR, type PredictorTrainConfig, type PredictorTrainInput } from './predictor.js';
import { PROBLEMS, type ProblemsTrainConfig, type ProblemsTrainInput } from './word-problems.js';
import { readKeys, valueAt, type ConfigProblem, type ReadKeys } from './problems.js';
import { anyRun, completeRun, type RunConfig } from './run.js';

/** The configuration of a run with every key filled in; `kind` discriminates. */
export type TrainConfig = PredictorTrainConfig | LanguageTrainConfig | ProblemsTrainConfig;
/**
 * The contents of a configuration file. All keys of a plan predictor are optional; the other kinds need `kind`, and `data.text` or `data.arithmetic` 1
 * (`language`), `data.problems` or `data.synthetic` 1 (`problems`).
 */
export type TrainConfigInput = PredictorTrainInput | LanguageTrainInput | ProblemsTrainInput;
export type Kind = TrainConfig['kind'];

/** The kinds of configurations that this package trains itself. */
export const KINDS = { predictor: PREDICTOR, language: LANGUAGE, problems: PROBLEMS } as const;

/** Returns its argument; gives a configuration file types: `export default defineConfig({ model: { depth: 3 } })`. */
export function defineConfig<const T extends TrainConfigInput>(input: T): T {
  return input;
}

/**
 * Checks a configuration and fills in defaults.
 * @throws TrainError `bad-config` with a line for each wrong key and each wrong value.
 */
export function parseConfig(input: PredictorTrainInput): PredictorTrainConfig;
export function parseConfig(input: LanguageTrainInput): LanguageTrainConfig;
export function parseConfig(input: ProblemsTrainInput): ProblemsTrainConfig;
export function parseConfig(input: TrainConfigInput): TrainConfig;
export function parseConfig(input: unknown): TrainConfig {
  const result = checkConfig(input);
  if ('config' in result) return result.config;
  throw new TrainError('bad-config', result.problems.map((problem) => problem.message).join('\n'));
}

/**
 * Checks that a configuration went through `parseConfig` (callers may be untyped JavaScript) and is of a kind.
 * @throws {TrainError} `bad-config` if not.
 */
export function requireParsed<K extends Kind>(
  config: TrainConfig,
  kind: K,
): asserts config is Extract<TrainConfig, { kind: K }> {
  const given = Object(config) as Partial<TrainConfig>;
  if (given.outDir === undefined || given.model?.depth === undefined || given.losses === undefined)
    throw new TrainError(
      'bad-config',
      'the configuration lacks keys that parseConfig fills in; pass the result of parseConfig({ … }) or loadConfig(path)',
    );
  if (given.kind !== kind)
    throw new TrainError('bad-config', `kind is '${given.kind}'; this function trains '${kind}'`);
}

/** `parseConfig` that returns problems with their keys instead of throwing. */
export function checkConfig(input: unknown): { config: TrainConfig } | { problems: ConfigProblem[] } {
  const kind = kindOf(input);
  if (kind === 'problems') return checkKind(PROBLEMS, input);
  return kind === 'language'
    ? checkKind({ ...LANGUAGE, complete }, input)
    : checkKind({ ...PREDICTOR, complete }, input);
}

/** The configuration of a task from outside this package; the task itself checks its settings. */
const ANY = {
  schema: anyRun,
  losses: () => ({}),
  check: () => [],
  complete: (parsed: z.output<typeof anyRun>) => completeRun(parsed),
};

/** `checkConfig` for runs of any kind. For a kind that is not of this package only the keys common to all runs are checked. */
export function checkAnyConfig(input: unknown): { config: RunConfig } | { problems: ConfigProblem[] } {
  const kind = valueAt(input, ['kind']);
  const isOwn = typeof kind !== 'string' || Object.hasOwn(KINDS, kind);
  return isOwn ? checkConfig(input) : checkKind(ANY, input);
}

interface KindOfConfig<S extends z.ZodType, C> {
  readonly schema: S;
  readonly losses: (read: ReadKeys) => LossWeights;
  readonly check: (read: ReadKeys, input: unknown) => Iterable<ConfigProblem>;
  readonly complete: (parsed: z.output<S>, weights: Record<string, number>) => C;
}

function checkKind<S extends z.ZodType, C>(
  { schema, losses, check, complete }: KindOfConfig<S, C>,
  input: unknown,
): { config: C } | { problems: ConfigProblem[] } {
  const read = readKeys(input);
  const parsed = schema.safeParse(input);
  const problems = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => describeIssue(issue, input, fieldsFor(input)));
  problems.push(...check(read, input));
  if (!parsed.success || problems.length > 0) return { problems };
  const given = valueAt(parsed.data, ['losses']) as Record<string, number>;
  return { config: complete(parsed.data, { ...losses(read), ...given }) };
}

/** The kind of a configuration; 'predictor' if it has none or an unknown one. */
function kindOf(input: unknown): Kind {
  const kind = valueAt(input, ['kind']);
  return typeof kind === 'string' && Object.hasOwn(KINDS, kind) ? (kind as Kind) : 'predictor';
}

/** Every key of configurations of this kind and readout, then the keys that only other kinds have, marked by `only`. */
export function fieldsFor(input: unknown): readonly ConfigField[] {
  const kind = kindOf(input);
  const names = Object.keys(KINDS);
  const of = (name: Kind): readonly ConfigField[] =>
    fieldsOf(KINDS[name].schema, KINDS[name].losses(readKeys(input)));
  const own = of(kind).map((field) =>
    field.path === 'kind'
      ? { ...field, schema: { ...field.schema, enum: names, description: names.join(', ') } }
      : field,
  );
  const all: ConfigField[] = [...own];
  for (const other of Object.keys(KINDS) as Kind[])
    for (const field of other === kind ? [] : of(other))
      if (!all.some(({ path }) => path === field.path)) all.push({ ...field, only: other });
  return all;
}
