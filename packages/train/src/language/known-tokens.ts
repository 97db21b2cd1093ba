import { randomStream } from '@dag/expr';
import type { LanguageStreamConfig } from './language-stream.js';
import { openTokens } from './text-folder.js';
import { drawWorkedLine } from './worked-line.js';

/** A token has an embedding of its own where the text has it so many times. */
const LEAST = 3;
/** Tokens that are read at once. */
const CHUNK = 2 ** 20;
/** Worked lines whose tokens are counted. */
const LINES = 3000;

/** The tokens that the text of a configuration and its worked arithmetic have several times, ascending. */
export function knownTokens(config: LanguageStreamConfig): number[] {
  const { data, tokenizer: name, seed } = config;
  const counts = new Map<number, number>();
  const count = (ids: Iterable<number>): void => {
    for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  };
  if (data.text !== '') {
    const text = openTokens(data.text, 'train', name);
    for (let from = 0; from < text.length; from += CHUNK)
      count(text.read(from, Math.min(CHUNK, text.length - from)));
  }
  for (let i = 0; data.arithmetic > 0 && i < LINES; i++) {
    const { promptIds, valueIds } = drawWorkedLine(config, 'train', randomStream(seed, i));
    count(promptIds);
    count(valueIds);
  }
  return [...counts]
    .filter(([, times]) => times >= LEAST)
    .map(([id]) => id)
    .sort((a, b) => a - b);
}
