import {
  ask,
  differences,
  askAll,
  kindOf,
  minus,
  over,
  plus,
  times,
  type Draft,
  type Kind,
  type Quantity,
  type Story,
} from './draft.js';
import * as world from './world.js';

/** Containers, things in each, things in all: one of the three is asked. */
export function equalGroups(d: Draft): Story {
  const sort = d.sort();
  const thing = d.thing(sort);
  const group = kindOf(d.one(sort.containers));
  const person = d.person();
  const groups = d.between(2, Math.min(30, d.scale));
  const each = d.between(2, Math.min(40, d.scale));
  const owner = d.one([
    `${person} has`,
    `${person} has`,
    `${person} packed`,
    'there are',
    `${person} filled`,
  ]);
  const perGroup = (amount: Quantity): string =>
    d.one([
      `each ${group.one} [has|holds|contains] ${amount} ${thing.many}`,
      `there are ${amount} ${thing.many} in [each|every] ${group.one}`,
      `each ${group.one} [can hold|has room for] ${amount} ${thing.many}`,
      `${person} puts ${amount} ${thing.many} in each ${group.one}`,
    ]);
  const total = groups * each;
  switch (d.one(['total', 'total', 'groups', 'each', 'sized'])) {
    case 'total': {
      const [g, e] = [d.quantity(groups), d.quantity(each)];
      const extra = d.chance(0.2) ? d.number(2, 20) : null;
      const facts = d.chance(0.3)
        ? [`${owner} ${g} ${group.many} with ${e} ${thing.many} in [each|each one|every ${group.one}]`]
        : d.shuffled([`${owner} ${g} ${group.many}`, perGroup(e)]);
      const product = times(g, e);
      const clause = `[are there|does ${person} have] [in all|altogether|in total|]`;
      if (!extra) return { facts, asks: [[askAll(`how many ${thing.many} ${clause}`, product)]] };
      return {
        facts: [...facts, `${person} also has ${extra} ${thing.many} that are not in a ${group.one}`],
        asks: [
          [
            askAll(
              `how many ${thing.many} does ${person} have [in all|altogether|in total]`,
              plus(product, extra),
            ),
          ],
          [ask(`how many ${thing.many} are in the ${group.many}`, product)],
        ],
      };
    }
    case 'groups': {
      const e = d.quantity(each);
      const t = d.quantity(total);
      return {
        facts: d.shuffled([
          d.one([
            `${person} has ${t} ${thing.many}`,
            `there are ${t} ${thing.many}`,
            `${person} ${d.gain(sort).past} ${t} ${thing.many}`,
          ]),
          perGroup(e),
        ]),
        asks: [
          [
            ask(
              `how many ${group.many} [does ${person} need|can ${person} fill|are needed|will there be|did ${person} use]`,
              over(t, e),
            ),
          ],
        ],
      };
    }
    case 'each': {
      const g = d.quantity(groups);
      const t = d.quantity(total);
      const same = d.one([
        `every ${group.one} has the same number of ${thing.many}`,
        `all ${group.many} have equally many ${thing.many}`,
        `${person} puts equally many in each ${group.one}`,
        '',
      ]);
      return {
        facts: [
          d.one([
            `${person} put ${t} ${thing.many} [into|in] ${g} ${group.many}`,
            `${person} [divided|split] ${t} ${thing.many} equally among ${g} ${group.many}`,
            `there are ${t} ${thing.many} in ${g} ${group.many}`,
            `${g} ${group.many} hold ${t} ${thing.many} in all`,
          ]),
          ...(same ? [same] : []),
        ],
        asks: [
          [
            ask(
              d.one([
                `how many ${thing.many} are in each ${group.one}`,
                `how many ${thing.many} does each ${group.one} hold`,
                `how many ${thing.many} go into one ${group.one}`,
                `how many ${thing.many} per ${group.one} are there`,
              ]),
              over(t, g),
            ),
          ],
        ],
      };
    }
    default: {
      const e = d.quantity(each);
      const wanted = d.quantity(groups);
      return {
        facts: [perGroup(e)],
        asks: [
          [
            ask(`how many ${thing.many} are in ${wanted} ${group.many}`, times(e, wanted)),
            ask(`how many ${thing.many} would ${wanted} ${group.many} hold`, times(e, wanted)),
          ],
        ],
      };
    }
  }
}

/** Two kinds of groups or two kinds of things in each group; the question takes some of the numbers. */
export function twoGroups(d: Draft): Story {
  const sort = d.sort();
  const person = d.person();
  const group = kindOf(d.one(sort.containers));
  const { kinds, all } = d.family(2);
  const [a, b] = kinds as [Kind, Kind];
  if (d.chance(0.5)) {
    const groups = d.number(2, 20);
    const each = [d.number(2, 30), d.number(2, 30)] as const;
    const facts = d.chance(0.5)
      ? [`${person} has ${groups} ${group.many} with ${each[0]} ${a.many} and ${each[1]} ${b.many} in each`]
      : [
          d.one([`${person} has ${groups} ${group.many}`, `there are ${groups} ${group.many}`]),
          `each ${group.one} [has|holds] ${each[0]} ${a.many} and ${each[1]} ${b.many}`,
        ];
    const clause = d.one(['are there in all', `does ${person} have [altogether|in total|]`, 'are there']);
    return {
      facts,
      asks: [
        [
          ask(`how many ${a.many} ${clause}`, times(groups, each[0])),
          ask(`how many ${b.many} ${clause}`, times(groups, each[1])),
        ],
        [askAll(`how many ${all} ${clause}`, times(groups, plus(each[0], each[1])))],
        [
          ask(`how many more ${a.many} than ${b.many} ${clause}`, times(groups, minus(each[0], each[1]))),
          ask(`how many more ${b.many} than ${a.many} ${clause}`, times(groups, minus(each[1], each[0]))),
        ],
        [ask(`how many more ${a.many} than ${b.many} are in each ${group.one}`, minus(each[0], each[1]))],
      ],
    };
  }
  if (d.chance(0.3)) {
    // Both kinds are set out in the same number of rows.
    const count = d.number(2, 12);
    const sizes = [d.between(2, 15), d.between(2, 15)] as const;
    const totals = [d.quantity(sizes[0] * count.value), d.quantity(sizes[1] * count.value)] as const;
    const row = d.one(['row', 'pile', 'group', 'stack', 'line', group.one]);
    const each = `in each ${row}`;
    return {
      facts: d.one([
        [
          `${person} arranged ${totals[0]} ${a.many} and ${totals[1]} ${b.many} in ${count} equal ${world.plural(row)}`,
        ],
        [
          `${person} has ${totals[0]} ${a.many} and ${totals[1]} ${b.many}`,
          `${person} makes ${count} equal ${world.plural(row)} out of them`,
        ],
      ]),
      asks: [
        [
          ask(`how many ${a.many} are ${each}`, over(totals[0], count)),
          ask(`how many ${b.many} are ${each}`, over(totals[1], count)),
        ],
        [ask(`how many ${all} are ${each} [in all|altogether]`, over(plus(...totals), count))],
        differences(d, kinds, totals, `does ${person} have`),
      ],
    };
  }
  const sharing = d.chance(0.4);
  if (sharing) {
    // The text says both totals and both counts of groups.
    const sizes = [d.between(2, 20), d.between(2, 20)] as const;
    const counts = [d.number(2, 12), d.number(2, 12)] as const;
    const totals = [d.quantity(sizes[0] * counts[0].value), d.quantity(sizes[1] * counts[1].value)] as const;
    return {
      facts: [
        `${person} has ${totals[0]} ${a.many} and ${totals[1]} ${b.many}`,
        `the ${a.many} are [put|sorted|packed] into ${counts[0]} ${group.many} and the ${b.many} into ${counts[1]} ${group.many}`,
      ],
      asks: [
        [
          ask(`how many ${a.many} are in each ${group.one} of ${a.many}`, over(totals[0], counts[0])),
          ask(`how many ${b.many} are in each ${group.one} of ${b.many}`, over(totals[1], counts[1])),
        ],
        [ask(`how many ${group.many} [are there|does ${person} have] in all`, plus(counts[0], counts[1]))],
        differences(d, kinds, totals, `does ${person} have`),
      ],
    };
  }
  const counts = [d.number(2, 15), d.number(2, 15)] as const;
  const sizes = [d.number(2, 30), d.number(2, 30)] as const;
  const facts = d.chance(0.5)
    ? [
        `${person} has ${counts[0]} ${group.many} with ${sizes[0]} ${a.many} each and ${counts[1]} ${group.many} with ${sizes[1]} ${b.many} each`,
      ]
    : [
        `there are ${sizes[0]} ${a.many} in a ${group.one} of ${a.many} and ${sizes[1]} ${b.many} in a ${group.one} of ${b.many}`,
        `${person} has ${counts[0]} ${group.many} of ${a.many} and ${counts[1]} ${group.many} of ${b.many}`,
      ];
  const amounts = [times(counts[0], sizes[0]), times(counts[1], sizes[1])] as const;
  const clause = `does ${person} have`;
  return {
    facts,
    asks: [
      [ask(`how many ${a.many} ${clause}`, amounts[0]), ask(`how many ${b.many} ${clause}`, amounts[1])],
      [askAll(`how many ${all} ${clause} [in all|altogether|in total]`, plus(...amounts))],
      differences(d, kinds, amounts, clause),
      [ask(`how many ${group.many} ${clause} [in all|altogether]`, plus(...counts))],
    ],
  };
}

/** Things are lost, gained or mixed before they are shared or packed. */
export function changedGroups(d: Draft): Story {
  const sort = d.sort();
  const thing = d.thing(sort);
  const group = kindOf(d.one(sort.containers));
  const person = d.person();
  const size = d.between(2, 15);
  const count = d.between(2, 15);
  const shared = size * count;
  const grows = d.chance(0.45);
  const change = grows ? d.between(1, shared - 1) : d.between(2, Math.max(4, d.scale));
  const start = d.quantity(grows ? shared - change : shared + change);
  const moved = d.quantity(change);
  const facts = [
    d.one([
      `${person} had ${start} ${thing.many}`,
      `${person} ${d.gain(sort).past} ${start} ${thing.many}`,
      `${person} has ${start} ${thing.many}`,
    ]),
    grows
      ? d.one([
          `${person} ${d.gain(sort).past} ${moved} more`,
          `${person} got ${moved} more ${thing.many} from {0s} ${d.one(world.RELATIVES)}`,
        ])
      : d.one([
          `${person} ${d.loss(sort).past} ${moved} of these`,
          `${moved} of them were [damaged|no good|left at home]`,
          `${person} kept ${moved} for later`,
        ]),
  ];
  const pool = grows ? plus(start, moved) : minus(start, moved);
  const rest = grows
    ? d.one(['all of them', 'all the {t}', 'the {t}']).replace('{t}', thing.many)
    : d.one(['the rest', 'the remaining ones', 'the others']);
  const simple = grows
    ? ask(`how many ${thing.many} does ${person} have [now|in all]`, pool)
    : ask(`how many ${thing.many} were left`, pool);
  if (d.chance(0.5)) {
    const n = d.quantity(count);
    const people = d.chance(0.4);
    const target = people
      ? kindOf(d.one(['friend', 'child', 'guest', 'neighbor', 'cousin', 'student']))
      : group;
    return {
      facts: [
        ...facts,
        people
          ? `${person} shared ${rest} equally among ${n} ${target.many}`
          : d.one([
              `${person} put ${rest} into ${n} ${group.many} with equally many in each`,
              `${person} divided ${rest} among ${n} ${group.many}`,
            ]),
      ],
      asks: [
        [
          ask(
            people
              ? `how many ${thing.many} did each ${target.one} get`
              : `how many ${thing.many} are in each ${group.one}`,
            over(pool, n),
          ),
        ],
        [
          ask(
            people ? `how many did each of the ${target.many} get` : `how many does one ${group.one} hold`,
            over(pool, n),
          ),
        ],
        [simple],
      ],
    };
  }
  const n = d.quantity(size);
  return {
    facts: [
      ...facts,
      d.one([
        `${person} puts ${rest} into ${group.many} of ${n}`,
        `each ${group.one} can hold ${n} ${thing.many}`,
        `${person} packs ${rest} with ${n} to each ${group.one}`,
      ]),
    ],
    asks: [
      [
        ask(
          `how many ${group.many} [does ${person} need|are needed|can ${person} fill|will there be]`,
          over(pool, n),
        ),
      ],
      [ask(`how many ${group.many} [are full|can be filled|will be full]`, over(pool, n))],
      [simple],
    ],
  };
}

/** Groups of which some go, or that lose some of their things. */
export function lostGroups(d: Draft): Story {
  const sort = d.sort();
  const thing = d.thing(sort);
  const group = kindOf(d.one(sort.containers));
  const person = d.person();
  const groups = d.number(3, 24);
  const each = d.number(2, 30);
  const { past } = d.loss(sort);
  const open = d.one([
    `${person} had ${groups} ${group.many} with ${each} ${thing.many} in each`,
    `${person} had ${groups} ${group.many} of ${thing.many} , each with ${each} ${thing.many}`,
  ]);
  const left = d.one([`does ${person} have left`, `are left`, `does ${person} still have`]);
  switch (d.one(['groups', 'things', 'more', 'regroup'])) {
    case 'groups': {
      const gone = d.number(1, groups.value - 1);
      return {
        facts: [open, `${person} ${past} ${gone} of the ${group.many}`],
        asks: [
          [ask(`how many ${thing.many} ${left}`, times(minus(groups, gone), each))],
          [ask(`how many ${group.many} ${left}`, minus(groups, gone))],
          [ask(`how many ${thing.many} [are gone|were in the lost ${group.many}]`, times(gone, each))],
        ],
      };
    }
    case 'things': {
      const gone = d.number(2, groups.value * each.value - 1);
      return {
        facts: [open, `${person} ${past} ${gone} of the ${thing.many}`],
        asks: [
          [ask(`how many ${thing.many} ${left}`, minus(times(groups, each), gone))],
          [ask(`how many ${thing.many} did ${person} have at first`, times(groups, each))],
        ],
      };
    }
    case 'more': {
      const more = d.number(2, 15);
      return {
        facts: [open, `${person} [got|bought|found] ${more} more of these ${group.many}`],
        asks: [
          [
            ask(
              `how many ${thing.many} does ${person} have [now|altogether]`,
              times(plus(groups, more), each),
            ),
          ],
          [ask(`how many ${group.many} does ${person} have now`, plus(groups, more))],
        ],
      };
    }
    default: {
      const per = d.one([2, 3, 4, 5, 6].filter((n) => (groups.value * each.value) % n === 0).concat([1]));
      if (per === 1)
        return {
          facts: [open],
          asks: [[askAll(`how many ${thing.many} did ${person} have in all`, times(groups, each))]],
        };
      const row = d.quantity(per);
      const other = d.one(['row', 'pile', 'stack', 'line', 'set']);
      return {
        facts: [open, `${person} [laid|arranged] all of them in ${world.plural(other)} of ${row}`],
        asks: [
          [
            ask(
              `how many ${world.plural(other)} [did ${person} make|were there]`,
              over(times(groups, each), row),
            ),
          ],
        ],
      };
    }
  }
}

/** So many in each unit of time. */
export function rates(d: Draft): Story {
  const person = d.person();
  const deed = d.one(world.DEEDS.filter(({ noun }) => !['hour', 'minute'].includes(noun)));
  const noun = kindOf(deed.noun);
  const unit = kindOf(d.one(world.TIME_UNITS));
  const each = d.between(2, Math.min(60, d.scale));
  const count = d.between(2, 30);
  const every = `[each|every|per] ${unit.one}`;
  const how = `how many ${noun.many}`;
  switch (d.one(['total', 'total', 'each', 'count', 'two', 'hours'])) {
    case 'total': {
      const [e, n] = [d.quantity(each), d.quantity(count)];
      return {
        facts: [
          `${person} ${deed.past} ${e} ${noun.many} ${every}`,
          d.one([
            `${person} did this for ${n} ${unit.many}`,
            `${person} kept going for ${n} ${unit.many}`,
            `this went on for ${n} ${unit.many}`,
          ]),
        ],
        asks: [
          [
            ask(
              `${how} did ${person.name} ${deed.base} [in all|altogether|in total|in that time]`,
              times(e, n),
            ),
          ],
        ],
      };
    }
    case 'each': {
      const n = d.quantity(count);
      const t = d.quantity(each * count);
      return {
        facts: [
          d.one([
            `${person} ${deed.past} ${t} ${noun.many} in ${n} ${unit.many}`,
            `in ${n} ${unit.many} ${person} ${deed.past} ${t} ${noun.many}`,
            `it took ${person.name} ${n} ${unit.many} to ${deed.base} ${t} ${noun.many}`,
          ]),
          ...(d.chance(0.4) ? [`${person} ${deed.past} [equally many|the same number] ${every}`] : []),
        ],
        asks: [[ask(`${how} did ${person.name} ${deed.base} ${every}`, over(t, n))]],
      };
    }
    case 'count': {
      const e = d.quantity(each);
      const t = d.quantity(each * count);
      return {
        facts: d.shuffled([
          `${person} ${deed.past} ${e} ${noun.many} ${every}`,
          `${person} ${deed.past} ${t} ${noun.many} in all`,
        ]),
        asks: [
          [
            ask(
              d.one([
                `how many ${unit.many} did it take`,
                `how many ${unit.many} did ${person} need`,
                `for how many ${unit.many} did ${person} do this`,
              ]),
              over(t, e),
            ),
          ],
        ],
      };
    }
    case 'two': {
      const [a, b] = [d.quantity(each), d.number(2, 40)];
      const other = d.one(
        world.DEEDS.filter(({ noun: word }) => word !== deed.noun && !['hour', 'minute'].includes(word)),
      );
      const n = d.quantity(count);
      const otherNoun = kindOf(other.noun);
      return {
        facts: [
          `${person} ${deed.past} ${a} ${noun.many} and ${other.past} ${b} ${otherNoun.many} ${every}`,
          `${person} did this for ${n} ${unit.many}`,
        ],
        asks: [
          [ask(`${how} did ${person.name} ${deed.base} [in all|altogether|in total]`, times(a, n))],
          [
            ask(
              `how many ${otherNoun.many} did ${person} ${other.base} [in all|altogether|in total]`,
              times(b, n),
            ),
          ],
        ],
      };
    }
    default: {
      const [e, h, n] = [d.quantity(each), d.number(2, 9), d.number(3, 30)];
      return {
        facts: [
          `${person} [can ${deed.base}|${deed.past}] ${e} ${noun.many} an hour`,
          `on each of ${n} days ${person} works ${h} hours`,
        ],
        asks: [
          [ask(`${how} did ${person.name} ${deed.base} in all`, times(times(e, h), n))],
          [ask(`${how} [does|did] ${person} ${deed.base} [in one day|a day]`, times(e, h))],
          [ask(`how many hours of work were that in all`, times(h, n))],
        ],
      };
    }
  }
}

/** Shares for people, some of whom may not come. */
export function shares(d: Draft): Story {
  const person = d.person();
  const sort = d.one(world.SORTS);
  const thing = d.thing(sort);
  const guest = kindOf(
    d.one(['guest', 'child', 'friend', 'student', 'player', 'neighbor', 'camper', 'cousin']),
  );
  const each = d.between(2, 12);
  const came = d.between(2, 20);
  const absent = d.chance(0.35) ? d.number(1, 8) : null;
  const invited = d.quantity(came + (absent?.value ?? 0));
  const present = absent ? minus(invited, absent) : invited;
  const open = d.one([
    `${person} invited ${invited} ${guest.many}`,
    `${person} expected ${invited} ${guest.many}`,
    `there were ${invited} ${guest.many} on the list of ${person.name}`,
  ]);
  const missing = absent
    ? [
        d.one([
          `${absent} of them did not come`,
          `${absent} ${guest.many} could not come`,
          `only ${absent} of them stayed home`,
        ]),
      ]
    : [];
  if (d.chance(0.5)) {
    const t = d.quantity(each * came);
    return {
      facts: absent
        ? [open, ...missing, `${person} shared ${t} ${thing.many} equally among the [others|rest]`]
        : d.shuffled([
            `${person} has ${t} ${thing.many}`,
            `${invited} ${guest.many} [share|want to share] the ${thing.many} equally`,
          ]),
      asks: [
        [
          ask(
            d.one([
              `how many ${thing.many} did each ${guest.one} get`,
              `how many ${thing.many} does each ${guest.one} get`,
              `how many ${thing.many} are there for each ${guest.one}`,
            ]),
            over(t, present),
          ),
        ],
      ],
    };
  }
  const e = d.quantity(each);
  return {
    facts: [
      open,
      ...missing,
      d.one([
        `each ${guest.one} ${absent ? 'who came ' : ''}got ${e} ${thing.many}`,
        `${person} gave every ${guest.one} ${absent ? 'who came ' : ''}${e} ${thing.many}`,
      ]),
    ],
    asks: [
      [
        ask(
          d.one([
            `how many ${thing.many} did ${person} need`,
            `how many ${thing.many} did ${person} give away [in all|]`,
            `how many ${thing.many} did the ${guest.many} get in all`,
          ]),
          times(present, e),
        ),
      ],
      absent ? [ask(`how many ${guest.many} came`, present)] : [],
    ],
  };
}

/** Rows and columns. */
export function grid(d: Draft): Story {
  const person = d.person();
  const sort = d.sort();
  const thing = d.thing(sort);
  const row = d.one(['row', 'row', 'line', 'column', 'layer']);
  const rows = d.between(2, 20);
  const each = d.between(2, 30);
  const [rowWord, how] = [world.plural(row), `how many ${thing.many}`];
  switch (d.one(['total', 'rows', 'each', 'removed'])) {
    case 'total': {
      const [r, e] = [d.quantity(rows), d.quantity(each)];
      return {
        facts: [
          d.one([
            `${person} set up ${r} ${rowWord} of ${e} ${thing.many}`,
            `${person} arranged the ${thing.many} in ${r} ${rowWord} of ${e}`,
            `there are ${r} ${rowWord} with ${e} ${thing.many} in each ${row}`,
          ]),
        ],
        asks: [[ask(`${how} are there [in all|altogether|]`, times(r, e))]],
      };
    }
    case 'rows': {
      const t = d.quantity(rows * each);
      const e = d.quantity(each);
      return {
        facts: [`${person} lined up ${t} ${thing.many}`, `each ${row} has ${e}`],
        asks: [[ask(`how many ${rowWord} [are there|did ${person} make]`, over(t, e))]],
      };
    }
    case 'each': {
      const t = d.quantity(rows * each);
      const r = d.quantity(rows);
      return {
        facts: [`${person} arranged ${t} ${thing.many} in ${r} equal ${rowWord}`],
        asks: [[ask(`${how} are in each ${row}`, over(t, r))]],
      };
    }
    default: {
      const [r, e] = [d.quantity(rows), d.quantity(each)];
      const gone = d.number(1, rows * each - 1);
      return {
        facts: [`${person} had ${r} ${rowWord} of ${e} ${thing.many}`, `${gone} of them were taken away`],
        asks: [[ask(`${how} are left`, minus(times(r, e), gone))]],
      };
    }
  }
}
