import { extname, resolve } from 'node:path';
import leven from 'leven';
import finetuneGpt2 from '../../configs/finetune-gpt2.js';
import languageSmall from '../../configs/language-small.js';
import language from '../../configs/language.js';
import predictorSmall from '../../configs/predictor-small.js';
import predictor from '../../configs/predictor.js';
import pretrainedLong from '../../configs/pretrained-long.js';
import pretrained from '../../configs/pretrained.js';
import reading from '../../configs/reading.js';
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

/** Configurations that need no file: `dag train predictor-small`. */
const BUILT_IN: Readonly<Record<string, TrainConfigInput>> = {
  predictor,
  'predictor-small': predictorSmall,
  'language-small': languageSmall,
  language,
  'finetune-gpt2': finetuneGpt2,
  pretrained,
  'pretrained-long': pretrainedLong,
  reading,
};

const DEFAULT = 'predictor';

/** What `loadConfig` gives without a path and options. */
export const defaultConfig = (): TrainConfig => parseConfig(predictor);
const EXTENSIONS = ['.ts', '.js', '.mjs', '.json'];
/** A configuration is a page of text. */
const MOST_BYTES = 2 ** 20;
/** A name of a built-in configuration that differs by more letters is none that was misspelt; swapped letters are two. */
const MOST_EDITS = 2;

/**
 * The configuration of a run: what the file says, then the options of the command line, then the defaults.
 * @param path a .ts, .js, .mjs or .json file, or a built-in name; left out, `predictor`
 * @param overrides options by name (`model.nEmbd`, or `nEmbd` where no other key ends so) with their text
 * @throws TrainError `bad-config` with a line for each problem, which starts with the file or option it is in.
 */
export async function loadConfig(
  path: string | undefined,
  overrides: Readonly<Record<string, string>>,
): Promise<TrainConfig> {
  return withOptions(await loadInput(path ?? DEFAULT), overrides, path ?? 'configuration');
}

/** Whether a word of the command line names a configuration: a built-in one, or a file. */
export const isConfigName = (word: string): boolean =>
  Object.hasOwn(BUILT_IN, word) || EXTENSIONS.includes(extname(word));

/**
 * A configuration with options of the command line.
 * @param source What messages call the configuration.
 * @throws TrainError `bad-config` with a line for each problem, which starts with `source` or the option it is in.
 */
export function withOptions(
  input: unknown,
  overrides: Readonly<Record<string, string>>,
  source: string,
): TrainConfig {
  const problems: string[] = [];
  const options = new Map<string, string>();
  // What keys there are is decided by two of them.
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
    const near = Object.keys(BUILT_IN).find((name) => leven(name, path) <= MOST_EDITS);
    throw bad(
      `is no built-in configuration (${Object.keys(BUILT_IN).join(', ')}) and no ${EXTENSIONS.join(', ')} file` +
        (near === undefined ? '' : `; did you mean ${near}?`),
    );
  }
  const text = await readText(path, MOST_BYTES).catch((error: TrainError) => {
    throw bad(error.message.replace(`${path} `, ''), error);
  });
  let module: { default?: unknown };
  try {
    if (extname(path) === '.json') return JSON.parse(text);
    // Loaded here alone: it takes as long as all else that a command loads.
    const { createJiti } = await import('jiti');
    // The package lends itself to the file, which so needs no installation of its own to import `defineConfig` from.
    const virtualModules = { '@dag/train': { defineConfig } };
    const jiti = createJiti(import.meta.url, { fsCache: false, interopDefault: false, virtualModules });
    module = await jiti.import(resolve(path));
  } catch (error) {
    throw bad(`cannot be loaded: ${String(error)}`, error);
  }
  if (module.default === undefined) throw bad('has no default export');
  return module.default;
}

/** Text stays text where the field holds text; elsewhere it is JSON, or text that the check will refuse. */
function valueOf(field: ConfigField, text: string): unknown {
  if (field.schema.type === 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A copy of `input` with one value replaced. Where a section is no object the check reports that instead. */
function withValue(input: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const section = input ?? {};
  return isSection(section) ? { ...section, [key]: withValue(section[key], rest, value) } : input;
}
