import { isName } from './names.js';
import { beginsVocabulary, isVocabulary, piecesOf } from './vocabulary.js';

/**
 * Whether a text is words, not symbols: names, numbers and symbols, and one of the names belongs to the vocabulary. The only
 * name, at the end, may only begin a word where symbols could have no name: after a number or a group, and blanks.
 */
export function isWords(text: string): boolean {
  // Most texts have no letters, and pieces take longer to cut.
  if (!/[a-z]/i.test(text)) return false;
  const pieces = piecesOf(text);
  const names = pieces.filter(({ written }) => !written).map(({ word }) => word);
  if (!names.every(isName)) return false;
  if (names.some(isVocabulary)) return true;
  const last = pieces.at(-1);
  return (
    last?.written === false && /[\d).]\s+$/.test(text.slice(0, last.position)) && beginsVocabulary(last.word)
  );
}
