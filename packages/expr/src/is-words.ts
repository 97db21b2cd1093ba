import { isName } from './names.js';
import { beginsVocabulary, isVocabulary, piecesOf } from './vocabulary.js';

/**
 * Whether a text is in words: at least one of its names belongs to the vocabulary. The last name may also be the beginning of
 * such a word, as in "2 pl", where it follows a number or a group and blanks: no variable can stand there.
 */
export function isWords(text: string): boolean {
  // A quick answer for texts without letters, which are most.
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
