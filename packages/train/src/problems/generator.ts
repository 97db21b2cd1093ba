import { randomStream } from '@dag/expr';
import { chosen } from '../reading/choose.js';
import * as changes from './changes.js';
import * as comparisons from './comparisons.js';
import {
  Draft,
  operations,
  Quantity,
  valueOf,
  withPeople,
  type Ask,
  type Story,
  type Term,
} from './draft.js';
import * as groups from './groups.js';
import { ledger } from './ledger.js';
import * as measures from './measures.js';
import * as money from './money.js';
import * as nested from './nested.js';
import * as world from './world.js';

/** A word problem: its text with `number0`, `number1` … in the places of its numbers, the numbers in that order, and its equation in prefix form. */
export interface Problem {
  readonly text: string;
  readonly numbers: readonly number[];
  readonly equation: readonly string[];
}

type Schema = (d: Draft) => Story;
/** The schemas, and how often each is taken. */
const SCHEMAS: readonly (readonly [Schema, number])[] = [
  [ledger, 26],
  [changes.transfer, 4],
  [changes.parts, 5],
  [changes.goal, 4],
  [changes.capacity, 1],
  [comparisons.comparison, 8],
  [comparisons.twoComparisons, 4],
  [comparisons.sideBySide, 7],
  [comparisons.table, 13],
  [comparisons.kindsThere, 5],
  [comparisons.holdings, 5],
  [comparisons.subkinds, 4],
  [comparisons.timesAsMany, 3],
  [groups.equalGroups, 9],
  [groups.twoGroups, 5],
  [groups.changedGroups, 5],
  [groups.lostGroups, 4],
  [groups.rates, 5],
  [groups.shares, 3],
  [groups.grid, 2],
  [nested.nestedGroups, 6],
  [nested.repeatedDeeds, 5],
  [nested.perPeriod, 3],
  [money.costs, 5],
  [money.twoGoods, 4],
  [money.wallet, 6],
  [money.wages, 3],
  [money.coins, 1],
  [measures.rectangles, 2],
  [measures.speeds, 3],
  [measures.averages, 1.5],
  [measures.ages, 2],
  [measures.units, 2],
  [measures.fractions, 3],
  [measures.measurements, 5],
];
const DRAWN: readonly Schema[] = SCHEMAS.flatMap(([schema, weight]) =>
  Array.from({ length: weight * 2 }, () => schema),
);

/** A question that the story can answer: a positive value of one to three operations. */
function question(d: Draft, { asks }: Story): Ask | null {
  const possible = (least: number): (readonly Ask[])[] =>
    asks
      .map((group) =>
        group.filter(({ term }) => operations(term) >= least && operations(term) <= 3 && valueOf(term) > 0),
      )
      .filter((group) => group.length > 0);
  const any = possible(1);
  // Most stories can be asked in one operation: now and then one of several is preferred.
  const several = d.chance(0.15) ? possible(2) : [];
  if (any.length === 0) return null;
  return d.one(d.one(several.length > 0 ? several : any));
}

/** A sentence with a number that the answer does not use. */
function distractor(d: Draft, { text, all }: Ask, facts: readonly string[], first: boolean): string {
  const told = facts.join(' ');
  const elsewhere = (places: readonly string[]): string =>
    d.one(places.filter((place) => !told.includes(place)));
  const sort = d.sort();
  const thing = d.thing(sort);
  if (all || d.chance(0.25)) {
    const amount = d.number(5, 60);
    const crowd = world.plural(d.one(d.one(world.PEOPLE).nouns));
    return d.one([
      `{0} turned ${amount} [last month|this week|this year|in the spring]`,
      `there were ${amount} ${crowd} ${elsewhere(world.GATHERINGS)}`,
      `a ${thing.one} costs $ ${amount}`,
      `a ${thing.one} costs ${amount} dollars`,
      `the house of {0n} was built ${amount} years ago`,
      `{0} lives ${amount} miles away`,
      `the walk to the ${d.one(world.SHOPS)} took ${amount} minutes`,
    ]);
  }
  const amount = d.count();
  const asked =
    /^how many (?:more |fewer )?(\S+(?: \S+)?) (?:does|did|are|do|were|is|than) /.exec(text)?.[1] ?? '';
  const same = asked === '' || asked.includes(' and ') || !told.includes(asked) ? thing.many : asked;
  const also = first ? '' : 'also';
  const other = d.person();
  const deed = d.one(world.DEEDS);
  return d.one([
    `{0} ${also} has ${amount} ${thing.many}`,
    `{0} ${also} ${d.gain(sort).past} ${amount} ${thing.many}`,
    `${other} has ${amount} ${thing.many}`,
    `${other} [has|had] ${amount} ${same}`,
    `${other} [has|had] ${amount} ${same}`,
    `${other} ${d.gain(sort).past} ${amount} ${thing.many}`,
    `${other} ${d.loss(sort).past} ${amount} ${thing.many}`,
    `${other} ${deed.past} ${amount} ${world.plural(deed.noun)}`,
    `there are ${amount} ${thing.many} ${elsewhere(world.PLACES)}`,
  ]);
}
/** A fact that speaks of what the fact before it said. */
const REFERS =
  /\b(them|rest|others?|it|its|each|every|equally|this|that|then|remaining|these|one|more|all|they|of the)\b|^~/;

/** The facts with what does not matter among them. */
function withDistractors(d: Draft, facts: readonly string[], asked: Ask): string[] {
  const told = [...facts];
  if (d.chance(0.3)) {
    if (d.people.length === 0) d.person();
    const places = [
      ...[0, 0],
      ...(/ (left|now)/.test(told.at(-1)!) ? [] : [told.length]),
      ...told.map((_, at) => at).filter((at) => at > 0 && !REFERS.test(told[at]!)),
    ];
    const place = d.one(places);
    const sentence = distractor(d, asked, facts, place === 0);
    told.splice(place, 0, sentence);
  }
  return told;
}

/** A sentence without a number, or nothing. */
function introduction(d: Draft): string {
  if (d.people.length === 0 || !d.chance(0.07)) return '';
  const sentence = d
    .one(world.INTRODUCTIONS)
    .replace('{thing}', d.thing().many)
    .replace('{relative}', d.one(world.RELATIVES))
    .replace('{shop}', d.one(world.SHOPS));
  return `${sentence} . `;
}

/** Facts and question as one text. */
function joined(d: Draft, facts: readonly string[], { text }: Ask): string {
  const told = facts.map((fact, at) => {
    if (!fact.startsWith('~')) return fact;
    const when = at > 0 && d.chance(0.25) ? d.one(['then', 'later', 'after that', 'the next day']) : '';
    return `${when} ${fact.slice(1)}`.trim();
  });
  const last = told.at(-1)!;
  const conditional = !/^(then|later|after|so far|in all|the next day|now|together)\b/.test(last);
  if (told.length <= 2 && conditional && d.chance(0.04)) return `${text} if ${told.join(' and ')} ?`;
  const condition = conditional && d.chance(0.22) ? told.pop()! : null;
  if (told.length > 1 && d.chance(0.25)) {
    const at = d.below(told.length - 1);
    const link = d.one([' and ', ' and ', ' , and ', ' , ', ' while ']);
    told.splice(at, 2, `${told[at]}${link}${told[at + 1]}`);
  }
  return [...told, condition === null ? `${text} ?` : `if ${condition} , ${text} ?`].join(' . ');
}

function prefix(term: Term, slots: ReadonlyMap<Quantity, string>): string[] {
  if (typeof term === 'number') return [String(term)];
  if (term instanceof Quantity) return [slots.get(term)!];
  const [operator, left, right] = term;
  return [operator, ...prefix(left, slots), ...prefix(right, slots)];
}

/** "an" before a vowel. */
const ARTICLE = /\ba (?=(?:[aeio]|um|un(?!i)|hour)(?!ne\b))/g;

/** Problem `index` of the stream `seed`: a pure function of the two. */
export function generateProblem(seed: number, index: number): Problem {
  const random = randomStream(seed, index);
  for (;;) {
    const d = new Draft(random);
    const story = d.one(DRAWN)(d);
    const asked = question(d, story);
    if (asked === null) continue;
    const template = introduction(d) + joined(d, withDistractors(d, story.facts, asked), asked);
    const marked = withPeople(d, chosen(random, template)).replace(ARTICLE, 'an ');
    const styled = d.chance(0.35) ? marked.replaceAll(' ,', '') : marked;
    const numbers: number[] = [];
    const slots = new Map<Quantity, string>();
    const text = styled.replace(/<(\d+)>/g, (_, id: string) => {
      const quantity = d.quantities[Number(id)]!;
      const slot = `number${numbers.length}`;
      slots.set(quantity, slot);
      numbers.push(quantity.value);
      return slot;
    });
    if (numbers.length > 6) continue;
    return { text: text.replace(/\s+/g, ' ').trim(), numbers, equation: prefix(asked.term, slots) };
  }
}
