import { tokenizer } from '@dag/model';
import type { Random } from '@dag/expr';
import { pick } from './choose.js';
import { ENDS, FOREIGN, PEOPLE, THINGS, VERBS } from './foreign.js';
import * as phrases from './phrases.js';
import * as surroundings from './surroundings.js';

/** Words of arithmetic, quantity and number, which are no chatter wherever they stand. */
const ARITHMETIC =
  /^(?:add|sub|mult|div|mod|neg|pos|cal|sum|tot|max|min|avg|log|sin|cos|tan|exp|abs|sqrt|cube|squar|root|pow|frac|ratio|percent|cent|per|each|every|both|pair|couple|dozen|doub|twi|tri|quad|hal|quarter|third|fourth|fif|six|seven|eight|nine|ten|hundred|thousand|million|billion|zero|one|two|three|four|five|none|nothing|all|rest|left|remain|differ|equal|count|number|digit|figure|plus|minus|times|over|under|less|more|most|least|great|larg|small|bigg|high|low|above|below|increas|decreas|reduc|grow|gain|loss|lost|cut|drop|take|took|taken|without|except|exclu|inclu|join|combin|together|togeth|rais|lift|point|negative|positive|even|odd|prime|factor|round|approach|single|multi|share|split|part|piece|group|apart|set|sets|once|again|another|extra|open|clos)/;

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
  return random.chance(0.65) ? word : `${word}${pick(random, ENDINGS)}`;
}

/** Common words, which have nothing to do with arithmetic between the others. */
const SMALL =
  'i my the a an is was am are and to of in on at it we you he she they this that so but with for just have had need know do can if not very too our me your as from by about or be will there then here now always never really her his its would could should were been has did who why where'.split(
    ' ',
  );

/** What people say around what they ask for: one to `most` words, at least one of which is no common one. */
export function smallTalk(random: Random, most: number): string {
  const words = Array.from({ length: 1 + random.below(most) }, () =>
    random.chance(0.5) ? pick(random, SMALL) : chatterWord(random),
  );
  words[random.below(words.length)] = chatterWord(random);
  return words.join(' ');
}

/** One to `most` such words. */
export const chatter = (random: Random, most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => chatterWord(random)).join(' ');
