import { tokenizer } from '@dag/model';
import type { Random } from '@dag/expr';
import { pick } from './choose.js';
import { ENDS, FOREIGN, PEOPLE, THINGS, VERBS } from './foreign.js';
import * as phrases from './phrases.js';
import * as surroundings from './surroundings.js';

/** Words of arithmetic, quantity and number, which are no chatter wherever they stand. */
const ARITHMETIC =
  /^(?:add|sub|mult|div|mod|neg|pos|cal|sum|tot|max|min|avg|log|sin|cos|tan|exp|abs|sqrt|cube|squar|root|pow|frac|ratio|percent|cent|per|each|every|both|pair|couple|dozen|doub|twi|tri|quad|hal|quarter|third|fourth|fif|six|seven|eight|nine|ten|hundred|thousand|million|billion|zero|one|two|three|four|five|none|nothing|all|rest|left|remain|differ|equal|count|number|digit|figure|plus|minus|times|over|under|less|more|most|least|great|larg|small|bigg|high|low|above|below|increas|decreas|reduc|grow|gain|loss|lost|cut|drop|take|took|taken|without|except|exclu|inclu|join|combin|together|togeth|rais|lift|point|negative|positive|even|odd|prime|factor|round|approach|single|multi|share|split|part|piece|group|apart|set|sets|once|again|another|extra)/;

let words: readonly string[] | null = null;
const ENDINGS = ['s', 'ed', 'er', 'ing', 'ly', 'y', 'es', 'al', 'ion', 'able', 'ful', 'est'];
/** Of GPT-2's tokens those with an id below this, which are the most common. */
const COMMON = 4200;

/** Words that are common tokens, none of which phrases use. */
function common(): readonly string[] {
  if (words) return words;
  const used = new Set(
    [
      ...[...Object.values(phrases), ...Object.values(surroundings)].flatMap((list) =>
        Object.values(list).flat(),
      ),
      ...FOREIGN,
      ...ENDS,
      ...PEOPLE,
      ...THINGS,
      ...VERBS,
    ]
      .join(' ')
      .toLowerCase()
      .split(/[^a-z]+/),
  );
  const tokens = tokenizer('words');
  const texts = Array.from({ length: COMMON }, (_, id) => tokens.decode([id]));
  words = texts
    .filter((text) => /^ [a-z]{3,}$/.test(text))
    .map((text) => text.slice(1))
    .filter((word) => !used.has(word) && !ARITHMETIC.test(word));
  return words;
}

/** A word that has nothing to do with arithmetic, now and then with another ending. */
export function chatterWord(random: Random): string {
  const word = pick(random, common());
  return random.chance(0.8) ? word : `${word}${pick(random, ENDINGS)}`;
}

/** One to `most` such words. */
export const chatter = (random: Random, most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => chatterWord(random)).join(' ');
