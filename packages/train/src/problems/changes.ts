import {
  ask,
  askAll,
  differences,
  listed,
  minus,
  plus,
  type Ask,
  type Draft,
  type Story,
  type Term,
} from './draft.js';
import * as world from './world.js';

/** Somebody gives something to somebody else. */
export function transfer(d: Draft): Story {
  const [giver, taker] = [d.person(), d.person()];
  const kind = d.thing();
  const large = Math.max(12, d.scale);
  const given = d.between(2, Math.floor(large / 3));
  const a = d.quantity(d.between(given + 2, large));
  const b = d.count();
  const known = d.chance(0.7);
  const amount = known ? d.quantity(given) : null;
  const rest = known ? null : d.quantity(a.value - given);
  const part = `${amount ?? 'some'} [of {0s} ${kind.many}|${kind.many}]`;
  const facts = [
    ...d.shuffled([`${giver} [had|has] ${a} ${kind.many}`, `${taker} [had|has] ${b} ${kind.many}`]),
    `~${giver} gave ${d.one([`${part} to ${taker.him}`, `${taker.him} ${part}`])}`,
    ...(rest ? [`${giver} has ${rest} ${kind.many} left`] : []),
  ];
  const moved: Term = amount ?? minus(a, rest!);
  const giverNow: Term = rest ?? minus(a, moved);
  const takerNow = plus(b, moved);
  const how = `how many ${kind.many}`;
  const both = `[${giver.name} and ${taker.name}|they|the two]`;
  return {
    facts,
    asks: [
      known
        ? [ask(`${how} does ${giver} have [left|now]`, giverNow)]
        : [ask(`${how} did ${giver} give to ${taker.him}`, moved)],
      [ask(`${how} does ${taker} have [now|then|after that]`, takerNow)],
      [askAll(`${how} do ${both} have [together|altogether|in all]`, plus(a, b))],
      [
        ask(`how many more ${kind.many} did ${giver} have than ${taker} [at first|before that]`, minus(a, b)),
        ask(`how many more ${kind.many} did ${taker} have than ${giver} [at first|before that]`, minus(b, a)),
      ],
    ],
  };
}

/** A whole and its parts, one of them the rest. */
export function parts(d: Draft): Story {
  const people = d.chance(0.35);
  const count = d.one([2, 2, 3]);
  const family = people ? d.crowd(count) : d.family(count);
  const { kinds, all } = family;
  const values = kinds.map(() => d.between(3, Math.max(9, Math.floor(d.scale / 2))));
  const whole = d.quantity(values.reduce((sum, value) => sum + value, 0));
  const told = values.slice(0, -1).map((value) => d.quantity(value));
  const last = kinds.at(-1)!;
  const where = people ? d.one(world.GATHERINGS) : d.one(world.PLACES);
  const person = d.person();
  const owns = !people && d.chance(0.5);
  const open = owns
    ? d.one([
        `${person} [has|had] ${whole} ${all}`,
        `${person} ${d.gain(family.sort).past} [a total of|] ${whole} ${all}`,
      ])
    : d.one([
        `there [are|were] ${whole} ${all} ${where}`,
        `${where} there are ${whole} ${all} [in all|altogether|]`,
        `a total of ${whole} ${all} are ${where}`,
      ]);
  const listedParts = told.map((quantity, k) => `${quantity} [of them|] are ${kinds[k]!.many}`);
  const rest = d.one([
    `the rest are ${last.many}`,
    `the others are ${last.many}`,
    `all the others are ${last.many}`,
    '',
  ]);
  const facts = [
    open,
    rest && d.chance(0.6) ? `${listedParts.join(' , ')} and ${rest}` : listedParts.join(' and '),
  ];
  if (rest && !facts[1]!.includes(rest)) facts.push(rest);
  const remainder = minus(whole, ...told);
  const clause = owns ? `does ${person} have` : `are there [${where}|]`;
  const asks: Ask[][] = [
    rest
      ? [
          ask(`how many ${last.many} ${clause}`, remainder),
          ask(`how many [of them|of the ${all}] are ${last.many}`, remainder),
        ]
      : [ask(`how many [of them|of the ${all}] are not ${kinds[0]!.many}`, minus(whole, told[0]!))],
    told.map((quantity, k) =>
      ask(`how many [of them|of the ${all}] are not ${kinds[k]!.many}`, minus(whole, quantity)),
    ),
  ];
  if (count === 3)
    asks.push(differences(d, kinds.slice(0, 2), told, clause), [
      ask(`how many ${kinds[0]!.many} and ${kinds[1]!.many} ${clause}`, plus(...told)),
    ]);
  if (count === 2 && rest && d.chance(0.5)) {
    const more = values[0]! - values[1]!;
    if (more > 0)
      return {
        facts: [
          `there are ${told[0]!} ${kinds[0]!.many} and the rest are ${last.many} ${where}`,
          `there are ${d.quantity(more)} more ${kinds[0]!.many} than ${last.many}`,
        ],
        asks: [
          [ask(`how many ${last.many} are there`, minus(told[0]!, d.quantities.at(-1)!))],
          [
            askAll(
              `how many ${all} are there ${where} [in all|altogether]`,
              plus(told[0]!, minus(told[0]!, d.quantities.at(-1)!)),
            ),
          ],
        ],
      };
  }
  return { facts, asks };
}

/** Something is needed, and some of it is there. */
export function goal(d: Draft): Story {
  const person = d.person();
  const count = d.one([1, 1, 2, 3]);
  const { kinds, sort } = d.family(count);
  const needs = kinds.map(() => d.number(Math.ceil(d.scale / 3) + 4, d.scale + 8));
  const k = d.below(count);
  const has = d.number(2, needs[k]!.value - 2);
  const more =
    d.chance(0.25) && needs[k]!.value - has.value > 3 ? d.number(1, needs[k]!.value - has.value - 2) : null;
  const { past } = d.gain(sort);
  const purpose = d.one([
    'for a project',
    'for the party',
    'for the whole class',
    'for a new recipe',
    'for the fair',
    '',
    '',
  ]);
  const facts = [
    d.one([
      `${person} needs ${listed(kinds.map((kind, at) => `${needs[at]} ${kind.many}`))} ${purpose}`,
      `${person} wants to get ${listed(kinds.map((kind, at) => `${needs[at]} ${kind.many}`))} ${purpose}`,
      `the plan calls for ${listed(kinds.map((kind, at) => `${needs[at]} ${kind.many}`))}`,
    ]),
    d.one([
      `${person} already [has|had] ${has} ${kinds[k]!.many}`,
      `so far ${person} has ${has} ${kinds[k]!.many}`,
      `${person} found ${has} ${kinds[k]!.many} at home`,
    ]),
    ...(more ? [`~${person} ${past} ${more} more ${kinds[k]!.many}`] : []),
  ];
  const asks: Ask[][] = [
    [
      ask(
        `how many more ${kinds[k]!.many} [does ${person} need|must ${person} still get|does ${person} have to find|are missing]`,
        minus(needs[k]!, has, ...(more ? [more] : [])),
      ),
    ],
  ];
  if (more)
    asks.push([ask(`how many ${kinds[k]!.many} does ${person} have [now|by now|so far]`, plus(has, more))]);
  if (count > 1) {
    asks.push(differences(d, kinds, needs, `does ${person} need`));
    const other = (k + 1) % count;
    asks.push([
      ask(
        `how many more ${kinds[other]!.many} than ${kinds[k]!.many} does ${person} still need`,
        minus(needs[other]!, minus(needs[k]!, has, ...(more ? [more] : []))),
      ),
    ]);
    asks.push([
      ask(
        `how many ${kinds[other]!.many} and ${kinds[k]!.many} does ${person} need in all`,
        plus(needs[other]!, needs[k]!),
      ),
    ]);
  }
  return { facts, asks };
}

/** Seats and those who take them. */
export function capacity(d: Draft): Story {
  const { kinds, all } = d.crowd(2);
  const where = d.one(world.GATHERINGS);
  const room = where.replace(/^(at|in|on) /, '');
  const taken = kinds.map(() => d.count(3));
  const seats = d.quantity(taken[0]!.value + taken[1]!.value + d.between(3, d.scale));
  const facts = d.shuffled([
    `[there are|there were] ${taken[0]} ${kinds[0]!.many} and ${taken[1]} ${kinds[1]!.many} ${where}`,
    d.one([
      `${room} is large enough for ${seats} ${all}`,
      `${room} can hold ${seats} ${all}`,
      `there are ${seats} seats ${where}`,
    ]),
  ]);
  const sum = plus(taken[0]!, taken[1]!);
  return {
    facts,
    asks: [
      [ask(`how many more ${all} [can come|fit in|can be let in]`, minus(seats, taken[0]!, taken[1]!))],
      [ask(`how many ${all} [are there|came|are ${where}] [in all|altogether|]`, sum)],
      differences(d, kinds, taken, `are there ${where}`),
    ],
  };
}
