import { fieldsFor, parseConfig, type Kind, type TrainConfig } from './config.js';
import type { ConfigField } from './fields.js';
import { valueAt } from './problems.js';

/**
 * The key list of `dag train --help`, at most 80 columns wide: first the keys of predictors, in brackets their value in `preset`
 * and, if different, the default of other configurations; then the keys that only language models have, and only models of word problems.
 */
export function describeConfig(preset: TrainConfig = parseConfig({})): string {
  const all = fieldsFor(preset);
  const own = all.filter(({ only }) => only === undefined);
  const column = Math.max(...all.map(({ path }) => path.length)) + 4;
  const lines = (fields: readonly ConfigField[]): string =>
    fields.map((field) => describeField(field, preset, column)).join('\n');
  const alone = (kind: Kind): string => lines(all.filter(({ only }) => only === kind));
  return (
    `${lines(own)}\n\nKeys of language models alone (--kind=language):\n${alone('language')}` +
    `\n\nKeys of models of word problems alone (--kind=problems):\n${alone('problems')}`
  );
}

function describeField({ path, schema }: ConfigField, preset: TrainConfig, column: number): string {
  const values = [valueAt(preset, path.split('.')) ?? schema.default, schema.default];
  const [value, other] = values.map((value) => (value === undefined || value === '' ? null : String(value)));
  const elsewhere = other !== null && other !== value ? `; ${other} in other configurations` : '';
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
