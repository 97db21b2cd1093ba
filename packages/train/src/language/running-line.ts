import type { Random } from '@dag/expr';
import { placesOf, tokenizer, type TokenizerName } from '@dag/model';
import { tokenTexts } from '../predictor/stream.js';
import { valueOf, type AnnotatedText } from './annotated-text.js';
import { targetsOfPieces, tokensByIndex } from './calculation-targets.js';
import { runningMarks, symbolsOf } from './running-marks.js';

const OPENINGS = [
  ...[
    '',
    '',
    '',
    'So ',
    'That makes ',
    'Then ',
    'Altogether it is ',
    'The total is ',
    'This leaves ',
    'In all ',
    'He pays ',
    'She has ',
  ],
  ...['They need ', 'It costs ', 'Each gets ', 'Now there are ', 'For the week that is ', 'The rest is '],
];
const UNITS = [
  'apples',
  'pens',
  'miles',
  'hours',
  'boxes',
  'people',
  'pages',
  'days',
  'cups',
  'pounds',
  'tickets',
  'cm',
];
const TIMES = ['*', '*', ' * ', ' * ', ' x ', ' x ', ' × ', ' times '];
const OVER = ['/', '/', ' / ', ' / ', ' ÷ ', ' divided by '];
const PLUS = ['+', ' + ', ' + ', ' plus '];
const MINUS = ['-', ' - ', ' - ', ' – ', ' minus '];
const EQUALS = ['=', ' = ', ' = ', ' = ', '= ', ' equals '];
const MOST_DRAWS = 100;

/**
 * A line of a calculation as people write it in sentences, with its result: "The total is 20 pens + 1,160 pens = 1,180 pens.", "5% of $80 = $4",
 * "3(16)=48". Results are rounded to two decimals where they do not end, in money to cents.
 */
export function drawRunningLine(random: Random, name: TokenizerName): AnnotatedText {
  for (let draw = 0; draw < MOST_DRAWS; draw++) {
    const { opening, calculation, equals, written, rest, value } = drawText(random);
    const before = opening + calculation + equals;
    const ids = tokenizer(name).encodeSigns(before + written + rest);
    const pieces = tokenTexts(ids, name);
    const tokens = tokensByIndex(pieces);
    /** The token that begins there, or with the blank before. */
    const tokenAt = (index: number): number | undefined =>
      tokens.get(index) ??
      (/\s/.test((before + written)[index - 1] ?? '') ? tokens.get(index - 1) : undefined);
    const marks = runningMarks(calculation);
    const start = marks ? tokenAt(opening.length + marks[0]!.begin) : undefined;
    const at = tokenAt(before.length);
    const end = tokens.get(before.length + written.length);
    if (start === undefined || at === undefined || end === undefined) continue;
    const text = pieces.slice(at, end).join('');
    if (!targetsOfPieces(pieces.slice(start, at)) || !placesOf(text, value).includes(1)) continue;
    const one = { start, value: at, end, expression: symbolsOf(marks!), result: value };
    return { ids, calculations: [one], others: [] };
  }
  throw new Error('no line of a calculation was drawn');
}

function drawText(random: Random) {
  const pick = <T>(of: readonly T[]): T => of[random.below(of.length)]!;
  const money = random.chance(0.3) ? '$' : '';
  const isGrouped = random.chance(0.5);
  const unit = money === '' && random.chance(0.3) ? ` ${pick(UNITS)}` : '';
  const grouped = (digits: string): string =>
    isGrouped ? digits.replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(?:\d{3})+$)/g, ',')) : digits;
  const number = (most = 10 ** (1 + random.below(5))): string => {
    const value = 1 + random.below(most);
    if (!random.chance(0.2)) return grouped(String(value));
    return grouped(money === '' ? String(value / 10) : (value / 100).toFixed(2));
  };
  const amount = (): string => money + number() + unit;
  const group = (): string => `(${amount()}${pick([...PLUS, ...MINUS])}${amount()})`;
  const small = (): string => String(2 + random.below(19));
  const calculation = pick([
    () => Array.from({ length: 2 + random.below(4) }, amount).join(pick(PLUS)),
    () => Array.from({ length: 2 + random.below(2) }, amount).join(pick(MINUS)),
    () => amount() + pick(TIMES) + (random.chance(0.5) ? small() : number()),
    () => amount() + pick(OVER) + small() + (random.chance(0.2) ? `${pick(OVER)}${small()}` : ''),
    () => `${small()}${pick(TIMES)}${small()}${pick(TIMES)}${amount()}`,
    () => `${1 + random.below(99)}%${pick([' of ', ' of ', ' * ', ' x ', '*'])}${amount()}`,
    () => `${1 + random.below(99)}% of ${money}${number()}`,
    () => `${amount()}${pick(TIMES)}${1 + random.below(99)}%`,
    () => `1/${small()}${pick([' of ', ' * ', ' x ', '*'])}${amount()}`,
    () => `${small()}(${money}${small()})`,
    () => `${small()}${group()}`,
    () => `${group()}${pick([...TIMES, ...OVER])}${small()}`,
    () => `${small()}${pick(TIMES)}${amount()}${pick([...PLUS, ...MINUS])}${amount()}`,
    () => `${amount()}${pick([...PLUS, ...MINUS])}${small()}${pick(TIMES)}${amount()}`,
  ])();
  const value = valueOf(runningMarks(calculation) ?? []);
  const rounded = Math.round(100 * value) / 100;
  const written = money !== '' && !Number.isInteger(rounded) ? rounded.toFixed(2) : String(rounded);
  return {
    ...{ calculation, value, written: grouped(written) },
    ...{ opening: pick(OPENINGS), equals: pick(EQUALS) + money },
    rest: `${unit}${random.chance(0.5) ? '.' : ''}\n`,
  };
}
