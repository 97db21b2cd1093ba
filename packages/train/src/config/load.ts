import { extname, resolve } from 'node:path';
import leven from 'leven';
import { requireArguments } from '../arguments.js';
import finetuneGpt2 from '../../configs/finetune-gpt2.js';
import languageSmall from '../../configs/language-small.js';
import language from '../../configs/language.js';
import predictorSmall from '../../configs/predictor-small.js';
import predictor from '../../configs/predictor.js';
import problems from '../../configs/problems.js';
import reading from '../../configs/reading.js';
import writing from '../../configs/writing.js';
import { TrainError } from '../error.js';
import { readText } from '../files/utf8.js';
import {
  checkConfig,
  defineConfig,
  fieldsFor,
  parseConfig,
  type TrainConfig,
  type TrainConfigInput,
} from './config.js';
import { findField, foldKey, type ConfigField } from './fields.js';
import { isSection } from './problems.js';

/** Built-in configurations, by name: `dag train predictor-small`. */
const BUILT_IN: Readonly<Record<string, TrainConfigInput>> = {
  predictor,
  'predictor-small': predictorSmall,
  'language-small': languageSmall,
  language,
  'finetune-gpt2': finetuneGpt2,
  reading,
  problems,
  writing,
};

/** The names of the built-in configurations. */
export const CONFIG_NAMES = Object.keys(BUILT_IN);

const DEFAULT = 'predictor';

/** The configuration that `loadConfig` returns without a path and options. */
export const defaultConfig = (): TrainConfig => parseConfig(predictor);
const EXTENSIONS = ['.ts', '.js', '.mjs', '.json'];
/** Largest size of a configuration file. */
const MOST_BYTES = 2 ** 20;
/** Largest edit distance at which a name is suggested as a misspelt built-in one; swapped letters are two edits. */
const MOST_EDITS = 2;

/**
 * The configuration of a run. Options of the command line take precedence over the file, and both over the defaults.
 * @param path a .ts, .js, .mjs or .json file, or a built-in name; default: `predictor`
 * @param overrides none by default; values as text by option name (`model.nEmbd`, or `nEmbd` if no other key ends in that name)
 * @throws TrainError `bad-config` with a line for each problem, which starts with the file or option it is in.
 */
export async function loadConfig(
  path?: string,
  overrides: Readonly<Record<string, string>> = {},
): Promise<TrainConfig> {
  requireArguments('loadConfig', {
    path: [path, { optional: 'a string' }],
    overrides: [overrides, 'an object'],
  });
  return withOptions(await loadInput(path ?? DEFAULT), overrides, path ?? 'configuration');
}

/** Whether a command line word is the name of a built-in configuration or a configuration file. */
export const isConfigName = (word: string): boolean =>
  Object.hasOwn(BUILT_IN, word) || EXTENSIONS.includes(extname(word));

/**
 * Applies options of the command line to a configuration and checks the result.
 * @param source The name of the configuration in messages.
 * @throws TrainError `bad-config` with a line for each problem, which starts with `source` or the option it is in.
 */
export function withOptions(
  input: unknown,
  overrides: Readonly<Record<string, string>>,
  source: string,
): TrainConfig {
  const problems: string[] = [];
  const options = new Map<string, string>();
  // `kind` and `model.readout` come first: they determine which other keys exist.
  const first = (key: string): number =>
    ['kind', 'readout', 'model.readout'].includes(foldKey(key)) ? 0 : 1;
  for (const [key, text] of Object.entries(overrides).sort(([a], [b]) => first(a) - first(b))) {
    const option = `--${key}=${text}`;
    const found = findField(key, fieldsFor(input));
    if (typeof found === 'string') {
      problems.push(`${option}: ${found}`);
    } else {
      options.set(found.path, option);
      input = withValue(input, found.path.split('.'), valueOf(found, text));
    }
  }
  const result = checkConfig(input);
  if ('config' in result && problems.length === 0) return result.config;
  for (const { paths, message } of 'problems' in result ? result.problems : []) {
    const option = paths.map((at) => options.get(at)).find((option) => option !== undefined);
    problems.push(`${option ?? source}: ${message}`);
  }
  throw new TrainError('bad-config', [...new Set(problems)].join('\n'));
}

async function loadInput(path: string): Promise<unknown> {
  const builtIn = Object.hasOwn(BUILT_IN, path) ? BUILT_IN[path] : undefined;
  if (builtIn) return builtIn;
  const bad = (problem: string, cause?: unknown): TrainError =>
    new TrainError('bad-config', `${path}: ${problem}`, { cause });
  if (!EXTENSIONS.includes(extname(path))) {
    const near = CONFIG_NAMES.find((name) => leven(name, path) <= MOST_EDITS);
    throw bad(
      `is no built-in configuration (${CONFIG_NAMES.join(', ')}) and no ${EXTENSIONS.join(', ')} file` +
        (near === undefined ? '' : `; did you mean ${near}?`),
    );
  }
  const text = await readText(path, MOST_BYTES).catch((error: TrainError) => {
    throw bad(error.message.replace(`${path} `, ''), error);
  });
  let module: { default?: unknown };
  try {
    if (extname(path) === '.json') return JSON.parse(text);
    // Loaded only here: jiti takes as long to load as everything else together.
    const { createJiti } = await import('jiti');
    // The file can import `defineConfig` even if @dag/train is not installed beside it.
    const virtualModules = { '@dag/train': { defineConfig } };
    const jiti = createJiti(import.meta.url, { fsCache: false, interopDefault: false, virtualModules });
    module = await jiti.import(resolve(path));
  } catch (error) {
    throw bad(`cannot be loaded: ${String(error)}`, error);
  }
  if (module.default === undefined) throw bad('has no default export');
  return module.default;
}

/** Parses an option's value: text for a text field, else JSON. If that is invalid the text is kept, and the check refuses it. */
function valueOf(field: ConfigField, text: string): unknown {
  if (field.schema.type === 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A copy of `input` with one value replaced. If a section is not an object, returns it unchanged; the check reports it. */
function withValue(input: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const section = input ?? {};
  return isSection(section) ? { ...section, [key]: withValue(section[key], rest, value) } : input;
}
