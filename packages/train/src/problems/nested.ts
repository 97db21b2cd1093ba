import { ask, askAll, kindOf, minus, over, plus, times, type Ask, type Draft, type Story } from './draft.js';

const OUTER = ['room', 'garden', 'school', 'street', 'floor', 'truck', 'building', 'tent', 'stall', 'shop'];

/** Groups of groups: places with equally many containers, each with equally many things. */
export function nestedGroups(d: Draft): Story {
  const sort = d.sort();
  const thing = d.thing(sort);
  const inner = kindOf(d.one(sort.containers));
  const outer = kindOf(d.one(OUTER));
  const [places, each, size] = [d.between(2, 20), d.between(2, 25), d.between(2, 40)];
  switch (d.one(['total', 'total', 'things', 'groups', 'size'])) {
    case 'total': {
      const [p, e, s] = [d.quantity(places), d.quantity(each), d.quantity(size)];
      const facts = d.one([
        [
          `${e} ${inner.many} are in each of ${p} ${outer.many}`,
          `each ${inner.one} [has|holds] ${s} ${thing.many}`,
        ],
        [
          `every ${inner.one} holds ${s} ${thing.many}`,
          `each of ${p} ${outer.many} has ${e} of these ${inner.many}`,
        ],
        [`${p} ${outer.many} have ${e} ${inner.many} each , with ${s} ${thing.many} in every ${inner.one}`],
      ]);
      return {
        facts,
        asks: [
          [
            askAll(
              `how many ${thing.many} [are there|are there in all|do the ${outer.many} have altogether]`,
              times(p, e, s),
            ),
          ],
          [
            ask(`how many ${inner.many} are there [in all|altogether|in total]`, times(p, e)),
            ask(`how many ${thing.many} are [there|] in each ${outer.one}`, times(e, s)),
          ],
        ],
      };
    }
    case 'things': {
      // What one place gets is shared by its containers.
      const t = d.quantity(each * size);
      const e = d.quantity(each);
      const p = d.quantity(places);
      return {
        facts: d.shuffled([
          `each of the ${p} ${outer.many} gets ${t} ${thing.many}`,
          `there are ${e} ${inner.many} in [each|every] ${outer.one}`,
        ]),
        asks: [
          [ask(`how many ${thing.many} go into each ${inner.one}`, over(t, e))],
          [askAll(`how many ${thing.many} [are needed|are there] in all`, times(t, p))],
          [ask(`how many ${inner.many} are there [in all|altogether]`, times(e, p))],
        ],
      };
    }
    case 'groups': {
      const s = d.quantity(size);
      const t = d.quantity(each * size);
      return {
        facts: [
          `each ${inner.one} [has|gets|holds] ${s} ${thing.many}`,
          `a ${outer.one} has ${t} ${thing.many} [in all|altogether|]`,
        ],
        asks: [[ask(`how many ${inner.many} are [there|] in a ${outer.one}`, over(t, s))]],
      };
    }
    default: {
      const [p, e] = [d.quantity(places), d.quantity(each)];
      const t = d.quantity(places * each * size);
      const facts = [
        `${t} ${thing.many} are [shared|divided] equally among ${p} ${outer.many}`,
        `every ${outer.one} has ${e} ${inner.many}`,
      ];
      return {
        facts,
        asks: [
          [ask(`how many ${thing.many} does each ${outer.one} get`, over(t, p))],
          [ask(`how many ${thing.many} are in each ${inner.one}`, over(t, times(p, e)))],
          [ask(`how many ${inner.many} are there [in all|]`, times(p, e))],
        ],
      };
    }
  }
}

/** A story of two actions, of which one is repeated: how much more the one did than the other, and how many there are. */
export function repeatedDeeds(d: Draft): Story {
  const person = d.person();
  const sort = d.sort();
  const thing = d.thing(sort);
  const [gain, loss] = [d.gain(sort), d.loss(sort)];
  const repeatsLoss = d.chance(0.4);
  const again = d.one(['', ' more', ' new', ' other']);
  const high = Math.max(12, d.scale);
  const [a, b] = [d.number(Math.ceil(high / 2), high + 8), d.number(2, Math.ceil(high / 3))];
  const c = d.number(2, Math.max(4, Math.ceil(high / 2) - b.value));
  const third = repeatsLoss
    ? `~${person} ${loss.past} ${c} ${d.one([thing.many, `of the ${thing.many}`, 'of the rest'])}`
    : `~${person} ${gain.past} ${c}${again} ${thing.many}`;
  const [gained, lost] = repeatsLoss ? [a, plus(b, c)] : [plus(a, c), b];
  const how = (rest: string, more = ''): string => `how many ${more}${thing.many} did ${person} ${rest}`;
  const than = (past: string, base: string): string =>
    d.one([`than {0} ${past}`, `than those that {0} ${past}`, `than {0} did ${base}`]);
  const asks: Ask[][] = [
    [
      ask(`${how(gain.base, 'more ')} ${than(loss.past, loss.base)}`, minus(gained, lost)),
      ask(`${how(loss.base, 'more ')} ${than(gain.past, gain.base)}`, minus(lost, gained)),
    ],
    [
      repeatsLoss
        ? ask(`${how(loss.base)} [in all|altogether|in total]`, lost)
        : ask(`${how(gain.base)} [in all|altogether|in total]`, gained),
    ],
    [ask(`how many ${thing.many} does ${person} have [now|left|at the end]`, minus(gained, lost))],
  ];
  return {
    facts: [
      `${person} ${gain.past} ${a} ${thing.many}`,
      `~${person} ${loss.past} ${b} ${d.one([thing.many, 'of them', `of these ${thing.many}`])}`,
      third,
    ],
    asks,
  };
}

/** So much from each of two sources, or less a cost, in every period. */
export function perPeriod(d: Draft): Story {
  const person = d.person();
  const unit = kindOf(d.one(['week', 'day', 'month', 'hour', 'shift']));
  const [p, q] = [d.number(10, d.scale + 12), d.number(2, 9)];
  const n = d.number(2, 40);
  const [work, more] = d.some(2, [
    'in the shop',
    'for gardening',
    'as a guard',
    'for extra work',
    'for lessons',
    'at night',
  ]) as [string, string];
  const rate = `${person} earns $ ${p} [each|every|per] ${unit.one} ${work}`;
  const isCost = d.chance(0.5);
  const second = isCost
    ? `[for rent|for food|for the bus] ${person} pays $ ${q} [each|every|per] ${unit.one}`
    : `${more} ${person} [gets|earns] $ ${q} [more|extra|] per ${unit.one}`;
  const total = isCost ? minus(p, q) : plus(p, q);
  const time = `${person} did this for ${n} ${unit.many}`;
  const money = '[how much money|how much|how many dollars]';
  return {
    facts: [rate, second, time],
    asks: [
      [
        isCost
          ? ask(`${money} does ${person} have [left|at the end]`, times(total, n))
          : askAll(`${money} did ${person} earn [in all|altogether|in total]`, times(total, n)),
      ],
      isCost
        ? [
            ask(`${money} did ${person} earn [in all|in this time|]`, times(p, n)),
            ask(`${money} did ${person} pay [in all|]`, times(q, n)),
          ]
        : [
            ask(`${money} did ${person} earn ${work} [in all|]`, times(p, n)),
            ask(`${money} did ${person} earn ${more} [in all|]`, times(q, n)),
          ],
      isCost
        ? [ask(`${money} is left of each ${unit.one}`, total)]
        : [ask(`${money} does ${person} earn per ${unit.one}`, total)],
    ],
  };
}
