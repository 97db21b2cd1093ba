import type { Random } from '@dag/expr';
import { pick } from '../reading/choose.js';
import * as world from './world.js';
import type { Name, Sort, Verb } from './world.js';

/** A number of a problem. In a template it stands as its mark, `<id>`, until the text is whole. */
export class Quantity {
  readonly id: number;
  readonly value: number;
  constructor(id: number, value: number) {
    this.id = id;
    this.value = value;
  }
  toString(): string {
    return `<${this.id}>`;
  }
}
/** Somebody in a problem: `{id}` in a template, `{ids}` for "his", `{ido}` for "him", `{idn}` for the name in any case. */
export class Person {
  readonly his: string;
  readonly him: string;
  readonly name: string;
  constructor(id: number) {
    this.subject = `{${id}}`;
    this.his = `{${id}s}`;
    this.him = `{${id}o}`;
    this.name = `{${id}n}`;
  }
  private readonly subject: string;
  toString(): string {
    return this.subject;
  }
}

type Operator = '+' | '-' | '*' | '/';
/** What a question asks: quantities and constants under operators. */
export type Term = Quantity | number | readonly [Operator, Term, Term];

export const plus = (...terms: Term[]): Term => terms.reduce((sum, term) => ['+', sum, term]);
export const minus = (...terms: Term[]): Term => terms.reduce((rest, term) => ['-', rest, term]);
export const times = (...terms: Term[]): Term => terms.reduce((product, term) => ['*', product, term]);
export const over = (a: Term, b: Term): Term => ['/', a, b];

export function valueOf(term: Term): number {
  if (typeof term === 'number') return term;
  if (term instanceof Quantity) return term.value;
  const [operator, left, right] = term;
  const [a, b] = [valueOf(left), valueOf(right)];
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    default:
      return operator satisfies never;
  }
}
export const operations = (term: Term): number =>
  typeof term === 'number' || term instanceof Quantity ? 0 : 1 + operations(term[1]) + operations(term[2]);

/** A question without its question mark, and its answer. */
export interface Ask {
  readonly text: string;
  readonly term: Term;
  /** The question counts everything of the story, so that a sentence about more of the same would change the answer. */
  readonly all: boolean;
}
export const ask = (text: string, term: Term): Ask => ({ text, term, all: false });
export const askAll = (text: string, term: Term): Ask => ({ text, term, all: true });

/** Facts, sentences without their full stop, and what may be asked of them. */
export interface Story {
  /** A fact that starts with `~` may take "then" or "later" before it. */
  readonly facts: readonly string[];
  /** Groups of questions. The generator chooses a group first. */
  readonly asks: readonly (readonly Ask[])[];
}

/** Something that is counted. */
export interface Kind {
  readonly one: string;
  readonly many: string;
}
export const kindOf = (one: string): Kind => ({ one, many: world.plural(one) });
/** Kinds of a thing, such as red and blue kites, and the word for all of them. */
export interface Family {
  readonly kinds: readonly Kind[];
  readonly all: string;
  readonly sort: Sort;
}

/** The choices that a problem is made of: its numbers, people and things, none of them twice. */
export class Draft {
  readonly people: Name[] = [];
  readonly quantities: Quantity[] = [];
  private readonly used = new Set<string | number>();
  /** About the largest count of the problem. */
  readonly scale: number;
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
    this.scale = this.one([12, 20, 40, 40, 100, 100, 100, 200, 900]);
  }

  below(count: number): number {
    return this.random.below(count);
  }
  chance(probability: number): boolean {
    return this.random.chance(probability);
  }
  one<T>(from: readonly T[]): T {
    return pick(this.random, from);
  }
  /** Different ones of a list, in random order. */
  some<T>(count: number, from: readonly T[]): T[] {
    return this.shuffled(from).slice(0, count);
  }
  shuffled<T>(from: readonly T[]): T[] {
    const list = [...from];
    for (let last = list.length - 1; last > 0; last--) {
      const other = this.random.below(last + 1);
      [list[last], list[other]] = [list[other]!, list[last]!];
    }
    return list;
  }

  /** A whole number of these bounds, if possible one that the problem does not have. */
  between(low: number, high: number): number {
    let value = low;
    for (let tries = 0; tries < 8; tries++) {
      value = low + this.random.below(Math.max(1, high - low + 1));
      if (!this.used.has(value)) break;
    }
    return value;
  }
  quantity(value: number): Quantity {
    this.used.add(value);
    const quantity = new Quantity(this.quantities.length, value);
    this.quantities.push(quantity);
    return quantity;
  }
  number(low: number, high: number): Quantity {
    return this.quantity(this.between(low, high));
  }
  /** A count of things, at most `scale`. */
  count(low = 2): Quantity {
    return this.number(low, Math.max(low + 8, this.scale));
  }
  /** A price in dollars. */
  price(high = 20): Quantity {
    const dollars = this.between(2, high);
    return this.quantity(this.chance(0.15) ? dollars + this.one([0.25, 0.5, 0.75, 0.2, 0.99]) : dollars);
  }

  private fresh<T>(from: readonly T[], key: (item: T) => string): T {
    let item = this.one(from);
    for (let tries = 0; tries < 8 && this.used.has(key(item)); tries++) item = this.one(from);
    this.used.add(key(item));
    return item;
  }
  person(): Person {
    const speaks = this.people.length === 0 && this.chance(0.05);
    const names = speaks ? world.SPEAKERS : this.chance(0.08) ? world.ROLE_NAMES : world.NAMES;
    this.people.push(this.fresh(names, ({ name }) => name));
    return new Person(this.people.length - 1);
  }
  word(from: readonly string[]): string {
    return this.fresh(from, (word) => word);
  }

  sort(): Sort {
    return this.one(world.SORTS);
  }
  /** A thing, sometimes with an adjective. */
  thing(sort: Sort = this.sort()): Kind {
    const noun = this.word(sort.nouns);
    return kindOf(this.chance(0.12) ? `${this.one(sort.adjectives)} ${noun}` : noun);
  }
  /** Different things of one sort, or one thing of different looks, or amounts of different stuff. */
  family(count: number): Family {
    if (this.chance(0.12)) {
      const { unit, stuffs } = this.one(world.STUFFS);
      const kinds = this.some(count, stuffs).map((stuff) => ({
        one: `${unit} of ${stuff}`,
        many: `${world.plural(unit)} of ${stuff}`,
      }));
      return { kinds, all: world.plural(unit), sort: world.STUFF_SORT };
    }
    const sort = this.sort();
    if (this.chance(0.45)) {
      const noun = this.word(sort.nouns);
      const kinds = this.some(count, sort.adjectives).map((adjective) => kindOf(`${adjective} ${noun}`));
      return { kinds, all: world.plural(noun), sort };
    }
    const nouns = this.some(count, sort.nouns);
    for (const noun of nouns) this.used.add(noun);
    const kinds = nouns.map(kindOf);
    const [first, second] = kinds;
    const all = count === 2 && this.chance(0.5) ? `${first!.many} and ${second!.many}` : sort.generic;
    return { kinds, all, sort };
  }
  crowd(count: number): Family {
    const { generic, nouns } = this.one(world.PEOPLE.filter((people) => people.nouns.length >= count));
    return { kinds: this.some(count, nouns).map(kindOf), all: generic, sort: world.STUFF_SORT };
  }
  gain(sort: Sort): Verb {
    return this.one(sort.gains);
  }
  loss(sort: Sort): Verb {
    return this.one(sort.losses);
  }
  /** Some periods of one row, in order. */
  periods(count: number): string[] {
    const row = this.one(world.PERIODS.filter((periods) => periods.length >= count));
    const start = this.random.below(row.length - count + 1);
    return row.slice(start, start + count);
  }
}

/** "a", "a and b" or "a, b and c". */
export const listed = (parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(' , ')} and ${parts.at(-1)}`;

/** Every kind against every other: "how many more pears than plums …". */
export function differences(d: Draft, kinds: readonly Kind[], terms: readonly Term[], clause: string): Ask[] {
  const asks: Ask[] = [];
  kinds.forEach((a, i) =>
    kinds.forEach((b, j) => {
      if (i === j) return;
      asks.push(
        ask(
          d.chance(0.75)
            ? `how many more ${a.many} than ${b.many} ${clause}`
            : `how many fewer ${b.many} than ${a.many} ${clause}`,
          minus(terms[i]!, terms[j]!),
        ),
      );
    }),
  );
  return asks;
}

const PERSON = /\{(\d+)([nso]?)\}/g;
/** The text with its people: a pronoun where it can only mean one, else the name. */
export function withPeople(draft: Draft, text: string): string {
  /** Who "he" and "she" mean. */
  const meant = new Map<string, number>();
  const seen = new Map<string, Set<number>>();
  const replaced = text.replace(PERSON, (_, digits: string, form: string) => {
    const id = Number(digits);
    const { name, he, his, him } = draft.people[id]!;
    const speaks = he === name;
    const alike = seen.get(he) ?? new Set();
    seen.set(he, alike.add(id));
    // Beside somebody else of the same pronoun only "his" and "her" are clear.
    const clear = speaks || (meant.get(he) === id && (alike.size === 1 || form === 's'));
    meant.set(he, id);
    if (form === 's') return clear ? his : `${name} 's`;
    if (form === 'n' && !speaks) return name;
    if (clear && (speaks || draft.chance(0.75))) return form === 'o' ? him : he;
    return name;
  });
  return draft.people[0]?.name === 'i' || draft.people[0]?.name === 'you' ? agreed(replaced) : replaced;
}
const FIRST_PERSON: Record<string, string> = { has: 'have', does: 'do', goes: 'go', is: 'are', was: 'were' };
/** Verbs of the third person after "i" and "you" in their form. */
function agreed(text: string): string {
  const form = (subject: string, verb: string): string => {
    if (subject === 'i' && verb === 'is') return 'am';
    if (subject === 'i' && verb === 'was') return 'was';
    return FIRST_PERSON[verb] ?? verb.slice(0, -1);
  };
  return text
    .replace(
      /\b(i|you) (also |still |then |now |only )?(\w+s)\b/g,
      (_, subject: string, between: string | undefined, verb: string) =>
        `${subject} ${between ?? ''}${form(subject, verb)}`,
    )
    .replace(
      /\b(does|is|was|has) (i|you)\b/g,
      (_, verb: string, subject: string) => `${form(subject, verb)} ${subject}`,
    );
}
