import { fieldsFor, parseConfig, type Kind, type TrainConfig } from './config.js';
import type { ConfigField } from './fields.js';
import { valueAt } from './problems.js';

/**
 * The key list of `dag train --help`, at most 80 columns wide: first the keys of predictors, in brackets their value in `preset`
 * and, if different, that in a configuration that does not give the key; then of language models and of models of word problems the keys that
 * predictors have not, or with another default.
 */
export function describeConfig(preset: TrainConfig = parseConfig({})): string {
  const all = fieldsFor(preset);
  const own = all.filter(({ only }) => only === undefined);
  const column = Math.max(...all.map(({ path }) => path.length)) + 4;
  const lines = (fields: readonly ConfigField[], values: object): string =>
    fields.map((field) => describeField(field, values, column)).join('\n');
  const isCommon = (field: ConfigField): boolean =>
    own.some(({ path, schema }) => path === field.path && schema.default === field.schema.default);
  const other = (kind: Kind): string =>
    lines(
      fieldsFor({ kind }).filter((field) => field.path !== 'kind' && !field.only && !isCommon(field)),
      {},
    );
  return (
    `${lines(own, preset)}\n\nOther keys and defaults of language models (--kind=language):\n${other('language')}` +
    `\n\nOther keys and defaults of models of word problems (--kind=problems):\n${other('problems')}`
  );
}

function describeField({ path, schema }: ConfigField, preset: object, column: number): string {
  const values = [valueAt(preset, path.split('.')) ?? schema.default, schema.default];
  const [value, other] = values.map((value) => (value === undefined || value === '' ? null : String(value)));
  const elsewhere = other !== null && other !== value ? `; ${other} if a configuration leaves it out` : '';
  const text = value === null ? '' : ` [${value}${elsewhere}]`;
  return (
    `  ${path}`.padEnd(column) +
    wrap(`${schema.description}${text}`, 80 - column).join(`\n${' '.repeat(column)}`)
  );
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
