import {
  ask,
  differences,
  askAll,
  kindOf,
  listed,
  minus,
  over,
  plus,
  times,
  type Ask,
  type Draft,
  type Kind,
  type Person,
  type Story,
  type Term,
} from './draft.js';
import * as world from './world.js';

/** What somebody has or did: the past, the base after "did", and a present where there is one. */
interface Having {
  readonly kind: Kind;
  readonly told: string;
  readonly asked: (who: string) => string;
  readonly they: (who: string) => string;
}
function having(d: Draft, kind: Kind | null): Having {
  if (kind === null) {
    const deed = d.one(world.DEEDS);
    return {
      kind: kindOf(deed.noun),
      told: deed.past,
      asked: (who) => `did ${who} ${deed.base}`,
      they: (who) => `did ${who} ${deed.base}`,
    };
  }
  const present = d.chance(0.5);
  return {
    kind,
    told: present ? 'has' : 'had',
    asked: (who) => (present ? `does ${who} have` : `did ${who} have`),
    they: (who) => (present ? `do ${who} have` : `did ${who} have`),
  };
}

/** Who has more than whom: a chain of two or three people, told forwards or backwards. */
export function comparison(d: Draft): Story {
  const count = d.one([2, 2, 2, 3]);
  const people = Array.from({ length: count }, () => d.person());
  const { kind, told, asked, they } = having(d, d.chance(0.65) ? d.thing() : null);
  const values = people.map(() => d.between(3, d.scale + 6));
  const known = d.below(count);
  const base = d.quantity(values[known]!);
  const terms: Term[] = [];
  terms[known] = base;
  const facts = [`${people[known]} ${told} ${base} ${kind.many}`];
  // From the known one outwards, each is compared with the one before.
  const order = d.shuffled(people.map((_, at) => at).filter((at) => at !== known));
  let from = known;
  const gaps: Ask[] = [];
  for (const at of order) {
    if (values[at] === values[from]) values[at]! += 2;
    const reversed = d.chance(0.4);
    const [a, b] = reversed ? [from, at] : [at, from];
    const gap = d.quantity(Math.abs(values[at]! - values[from]!));
    const more = values[a]! > values[b]!;
    const word = more ? 'more' : d.one(['fewer', 'fewer', 'less']);
    terms[at] = values[at]! > values[from]! ? plus(terms[from]!, gap) : minus(terms[from]!, gap);
    facts.push(
      d.one([
        `${people[a]} ${told} ${gap} ${word} ${kind.many} than ${people[b]}`,
        `${people[a]} ${told} ${gap} ${kind.many} ${word} than ${people[b]}`,
        more
          ? `${people[a]} ${told} ${gap} more ${kind.many} than ${people[b]}`
          : `${people[b]} ${told} ${gap} more ${kind.many} than ${people[a]}`,
      ]),
    );
    if (d.chance(0.7)) from = at;
  }
  const all = plus(...terms);
  const names = listed(people.map(({ name }) => name));
  const single = order.map((at) => ask(`how many ${kind.many} ${asked(String(people[at]))}`, terms[at]!));
  if (count === 3)
    gaps.push(
      ...people.flatMap((a, i) =>
        people.flatMap((b, j) =>
          i === j
            ? []
            : [ask(`how many more ${kind.many} ${asked(String(a))} than ${b}`, minus(terms[i]!, terms[j]!))],
        ),
      ),
    );
  // Only gaps that take two numbers.
  const [first, second] = order;
  const apart = count === 3 ? gaps.filter(({ term }) => !mentions(term, base)) : [];
  return {
    facts: d.chance(0.7) ? d.shuffled(facts) : facts,
    asks: [
      single,
      single,
      [askAll(`how many ${kind.many} ${they(`[they|${names}]`)} [in all|altogether|together|in total]`, all)],
      apart,
      first !== undefined && second !== undefined ? [single[1]!] : [],
    ],
  };
}
const mentions = (term: Term, wanted: Term): boolean =>
  term === wanted ||
  (Array.isArray(term) && (mentions(term[1] as Term, wanted) || mentions(term[2] as Term, wanted)));

/** Two counts compared with those of somebody else: "3 fewer pears and 4 more plums than …". */
export function twoComparisons(d: Draft): Story {
  const [a, b] = [d.person(), d.person()];
  const { kinds } = d.family(2);
  const { told, asked } = having(d, kinds[0]!);
  const base = kinds.map(() => d.count(4));
  const order = d.shuffled([0, 1]);
  const terms: Term[] = [];
  const clauses: string[] = [];
  for (const k of order) {
    const more = d.chance(0.5);
    const gap = more ? d.count() : d.number(1, base[k]!.value - 1);
    terms[k] = more ? plus(base[k]!, gap) : minus(base[k]!, gap);
    clauses.push(`${gap} ${more ? 'more' : 'fewer'} ${kinds[k]!.many}`);
  }
  const how = (k: number, who: Person): string => `how many ${kinds[k]!.many} ${asked(String(who))}`;
  const relation = `${a} ${told} ${clauses.join(d.one([' and ', ' but ']))} than ${b}`;
  const counts = `${b} ${told} ${listed(d.shuffled([0, 1]).map((k) => `${base[k]} ${kinds[k]!.many}`))}`;
  return {
    facts: d.shuffled([relation, counts]),
    asks: [
      [ask(how(0, a), terms[0]!), ask(how(1, a), terms[1]!)],
      differences(d, kinds, base, asked(String(b))),
      differences(d, kinds, terms, asked(String(a))),
      [
        ask(
          `how many ${kinds[0]!.many} and ${kinds[1]!.many} ${asked(String(b))} [together|in all|]`,
          plus(base[0]!, base[1]!),
        ),
      ],
    ],
  };
}

/** The same counted for several people: which has more, and how many together. */
export function sideBySide(d: Draft): Story {
  const count = d.one([2, 2, 3, 3]);
  const people = Array.from({ length: count }, () => d.person());
  const { kind, told, asked, they } = having(d, d.chance(0.6) ? d.thing() : null);
  const numbers = people.map(() => d.count());
  const elliptic = d.chance(0.3);
  const clauses = people.map(
    (person, at) => `${person} ${told} ${numbers[at]}${elliptic && at > 0 ? '' : ` ${kind.many}`}`,
  );
  const facts = d.chance(0.4) ? [listed(clauses)] : clauses;
  const names = listed(people.map(({ name }) => name));
  if (d.chance(0.2)) {
    const unknown = d.below(count);
    const total = d.quantity(numbers.reduce((sum, { value }) => sum + value, 0));
    const others = people.map((_, at) => at).filter((at) => at !== unknown);
    const together = d.one([
      `together ${names} ${told.replace('has', 'have')} ${total} ${kind.many}`,
      `${names} ${told.replace('has', 'have')} ${total} ${kind.many} [together|in all|altogether]`,
    ]);
    const rest = minus(total, ...others.map((at) => numbers[at]!));
    const question = ask(`how many ${kind.many} ${asked(String(people[unknown]))}`, rest);
    const known = others.map(
      (at) => `${people[at]} ${told} ${numbers[at]}${elliptic ? '' : ` ${kind.many}`}`,
    );
    const [i, j] = others.map((at) => numbers[at]!);
    const two = `how many ${kind.many} ${they(listed(others.map((at) => people[at]!.name)))} [together|in all|altogether]`;
    return {
      facts: elliptic || d.chance(0.6) ? [together, ...known] : [...known, together],
      asks: [[question], [question], j ? [ask(two, plus(i!, j))] : []],
    };
  }
  const asks: Ask[][] = [
    people.flatMap((a, i) =>
      people.flatMap((b, j) =>
        i === j
          ? []
          : [
              ask(
                d.one([
                  `how many more ${kind.many} ${asked(String(a))} than ${b}`,
                  `how many fewer ${kind.many} ${asked(String(b))} than ${a}`,
                  `what is the difference between the numbers of ${kind.many} of ${a.name} and ${b.name}`,
                ]),
                minus(numbers[i]!, numbers[j]!),
              ),
            ],
      ),
    ),
    [
      askAll(
        `how many ${kind.many} ${they(`[they|${names}|they]`)} [in all|altogether|together|in total]`,
        plus(...numbers),
      ),
    ],
  ];
  if (count === 3) {
    const [i, j, k] = d.shuffled([0, 1, 2]) as [number, number, number];
    asks.push([
      ask(
        `how many ${kind.many} ${they(`${people[i]!.name} and ${people[j]!.name}`)} [together|in all|altogether]`,
        plus(numbers[i]!, numbers[j]!),
      ),
    ]);
    asks.push([
      ask(
        `how many more ${kind.many} ${they(`${people[i]!.name} and ${people[j]!.name}`)} together than ${people[k]!.name}`,
        minus(plus(numbers[i]!, numbers[j]!), numbers[k]!),
      ),
    ]);
  }
  return { facts, asks };
}

/** Counts by period and kind, of which a row, a column or two cells are asked. */
export function table(d: Draft): Story {
  const rows = d.one([1, 2, 2, 2, 3, 3]);
  const columns = rows === 1 ? d.one([2, 3, 3]) : d.one([1, 1, 1, 2]);
  const person = d.person();
  const periods = d.periods(Math.max(2, rows)).slice(0, rows);
  const order = d.chance(0.3) ? d.shuffled(periods) : periods;
  const deed = columns === 1 && d.chance(0.6) ? d.one(world.DEEDS) : null;
  const family = deed === null ? d.family(columns) : null;
  const kinds = deed === null ? family!.kinds : [kindOf(deed.noun)];
  const verb = deed ?? d.gain(family!.sort);
  const verbs =
    columns === 2 && rows > 1 && d.chance(0.35)
      ? [verb, d.one([...family!.sort.gains, ...family!.sort.losses])]
      : [verb, verb];
  const verbOf = (k: number): world.Verb => (verbs[0] !== verbs[1] && k === 1 ? verbs[1]! : verb);
  const split = verbs[0] !== verbs[1];
  const cells = order.map(() => kinds.map(() => d.count()));
  // One period is unknown, so the text says the total.
  const hidden = columns === 1 && rows >= 2 && d.chance(0.3) ? d.below(rows) : -1;
  const elliptic = d.chance(0.3);

  const part = (r: number, k: number): string =>
    r === hidden
      ? `some ${kinds[k]!.many}`
      : `${cells[r]![k]}${elliptic && r > 0 && columns === 1 ? '' : ` ${kinds[k]!.many}`}`;
  const done = (r: number): string =>
    split
      ? `${verb.past} ${part(r, 0)} and ${verbs[1]!.past} ${part(r, 1)}`
      : `${verb.past} ${listed(kinds.map((_, k) => part(r, k)))}`;
  const rowFacts = order.map((period, r) =>
    rows === 1 && d.chance(0.5)
      ? `${person} ${done(r)}`
      : d.one([
          `${person} ${done(r)} ${period}`,
          `${person} ${done(r)} ${period}`,
          `${period} ${person} ${done(r)}`,
        ]),
  );
  const facts =
    columns === 1 && rows > 1 && d.chance(0.35)
      ? [
          `${person} ${verb.past} ${order.map((period, r) => `${part(r, 0)} ${period}`).join(d.one([' , then ', ' and then ', ' , and ', ' , but ']))}`,
        ]
      : rowFacts;

  const cell = (r: number, k: number): Term => cells[r]![k]!;
  const how = (k: number): string => `how many ${kinds[k]!.many} did ${person} ${verbOf(k).base}`;
  const more = (k: number): string => how(k).replace('how many', 'how many more');
  const asks: Ask[][] = [];
  if (hidden >= 0) {
    const others = order.map((_, r) => r).filter((r) => r !== hidden);
    const total = d.quantity(cells.reduce((sum, row) => sum + row[0]!.value, 0));
    facts.push(
      d.one([
        `${person} ${verb.past} [a total of|] ${total} ${kinds[0]!.many} [in all|altogether|in total]`,
        `in all ${person} ${verb.past} ${total} ${kinds[0]!.many}`,
      ]),
    );
    const term = minus(total, ...others.map((r) => cell(r, 0)));
    return {
      facts,
      asks: [
        [ask(`${how(0)} ${order[hidden]}`, term)],
        [ask(`${how(0)} ${order[hidden]}`, term)],
        rows === 3
          ? [
              ask(
                `${how(0)} ${order[others[0]!]} and ${order[others[1]!]} [together|]`,
                plus(cell(others[0]!, 0), cell(others[1]!, 0)),
              ),
            ]
          : [],
        rows === 3
          ? [
              ask(
                `${more(0)} ${order[others[0]!]} than ${order[others[1]!]}`,
                minus(cell(others[0]!, 0), cell(others[1]!, 0)),
              ),
            ]
          : [],
      ],
    };
  }
  const indices = order.map((_, r) => r);
  if (rows > 1) {
    asks.push(
      kinds.flatMap((_, k) =>
        indices.flatMap((i) =>
          indices.flatMap((j) =>
            i === j
              ? []
              : [
                  ask(
                    d.chance(0.75)
                      ? `${more(k)} ${order[i]} than ${order[j]}`
                      : d.one([
                          `${more(k).replace('more', 'fewer')} ${order[j]} than ${order[i]}`,
                          `${more(k)} ${order[i]} compared to ${order[j]}`,
                        ]),
                    minus(cell(i, k), cell(j, k)),
                  ),
                ],
          ),
        ),
      ),
    );
    asks.push(
      kinds.map((_, k) =>
        askAll(
          `${how(k)} [in all|altogether|in total|all together]`,
          plus(...indices.map((r) => cell(r, k))),
        ),
      ),
    );
  }
  if (rows === 3) {
    const [i, j, k] = d.shuffled(indices) as [number, number, number];
    asks.push([ask(`${how(0)} ${order[i]} and ${order[j]} [together|]`, plus(cell(i, 0), cell(j, 0)))]);
    asks.push([
      ask(
        `${more(0)} ${order[i]} and ${order[j]} [together|] than ${order[k]}`,
        minus(plus(cell(i, 0), cell(j, 0)), cell(k, 0)),
      ),
    ]);
  }
  if (columns > 1 && !split) {
    const clause = `did ${person} ${verb.base}`;
    indices.forEach((r) =>
      asks.push(differences(d, kinds, cells[r]!, `${clause} ${rows > 1 ? order[r] : ''}`)),
    );
    if (rows === 1) {
      asks.push([
        askAll(`how many ${family!.all} ${clause} [in all|altogether|in total]`, plus(...cells[0]!)),
      ]);
      if (columns === 3) {
        const [i, j, k] = d.shuffled([0, 1, 2]) as [number, number, number];
        asks.push([
          ask(
            `how many ${kinds[i]!.many} and ${kinds[j]!.many} ${clause} [in all|together|]`,
            plus(cell(0, i), cell(0, j)),
          ),
        ]);
        asks.push([
          ask(
            `how many more ${kinds[i]!.many} and ${kinds[j]!.many} [together|] than ${kinds[k]!.many} ${clause}`,
            minus(plus(cell(0, i), cell(0, j)), cell(0, k)),
          ),
        ]);
      }
    } else
      asks.push(
        indices.map((r) =>
          askAll(`how many ${family!.all} ${clause} ${order[r]} [in all|altogether|]`, plus(...cells[r]!)),
        ),
      );
  }
  return { facts, asks };
}

/** Kinds that are somewhere, or that somebody has: differences and sums of some of them. */
export function kindsThere(d: Draft): Story {
  const count = d.one([2, 2, 3, 3, 4]);
  const crowd = count < 4 && d.chance(0.3);
  const { kinds, all } = crowd ? d.crowd(count) : d.family(count);
  const where = crowd ? d.one(world.GATHERINGS) : d.one(world.PLACES);
  const numbers = kinds.map(() => d.count());
  const items = listed(kinds.map((kind, k) => `${numbers[k]} ${kind.many}`));
  const there = d.one([
    `there [are|were] ${items} ${where}`,
    `${items} are ${where}`,
    `${where} there are ${items}`,
  ]);
  const facts = d.chance(0.8)
    ? [there]
    : [
        `there are ${numbers[0]} ${kinds[0]!.many} ${where}`,
        ...kinds
          .slice(1)
          .map((kind, k) => `there are [also|] ${numbers[k + 1]} ${kind.many} [there|${where}]`),
      ];
  const clause = crowd ? `are ${where}` : d.one([`are there ${where}`, 'are there', `are ${where}`]);
  const asks: Ask[][] = [
    differences(d, kinds, numbers, clause),
    [askAll(`how many ${all} ${clause} [in all|altogether|in total]`, plus(...numbers))],
  ];
  if (count > 2) {
    const [i, j, k] = d.shuffled(kinds.map((_, at) => at)) as [number, number, number];
    const [x, y, z] = [kinds[i]!, kinds[j]!, kinds[k]!];
    asks.push([ask(`how many ${x.many} and ${y.many} ${clause}`, plus(numbers[i]!, numbers[j]!))]);
    asks.push([
      ask(
        `how many more ${x.many} and ${y.many} than ${z.many} ${clause}`,
        minus(plus(numbers[i]!, numbers[j]!), numbers[k]!),
      ),
    ]);
    asks.push([
      askAll(
        `how many ${all} ${clause} without the ${z.many}`,
        minus(plus(...numbers.filter((_, at) => at !== k))),
      ),
    ]);
  }
  return { facts, asks };
}

/** Twice, three times or half as many. */
export function timesAsMany(d: Draft): Story {
  const [a, b] = [d.person(), d.person()];
  const { kind, told, asked, they } = having(d, d.chance(0.6) ? d.thing() : null);
  const form = d.one(['number', 'twice', 'three times', 'half', 'backwards']);
  const both = `${they(`[they|${a.name} and ${b.name}]`)} [in all|together|altogether]`;
  const how = `how many ${kind.many}`;
  if (form === 'half') {
    const base = d.quantity(2 * d.between(2, Math.ceil(d.scale / 2) + 4));
    return {
      facts: d.shuffled([
        `${a} ${told} ${base} ${kind.many}`,
        `${b} ${told} half as many ${kind.many} as ${a}`,
      ]),
      asks: [
        [ask(`${how} ${asked(String(b))}`, over(base, 2))],
        [askAll(`${how} ${both}`, plus(base, over(base, 2)))],
      ],
    };
  }
  const factor = form === 'twice' ? 2 : form === 'three times' ? 3 : d.number(2, 9);
  const ratio = form === 'twice' || form === 'three times' ? form : `${factor} times`;
  if (form === 'backwards') {
    const base = d.quantity((factor as { value: number }).value * d.between(2, Math.ceil(d.scale / 3) + 3));
    return {
      facts: d.shuffled([
        `${a} ${told} ${base} ${kind.many}`,
        `${a} ${told} ${ratio} as many ${kind.many} as ${b}`,
      ]),
      asks: [[ask(`${how} ${asked(String(b))}`, over(base, factor))]],
    };
  }
  const base = d.count(3);
  return {
    facts: d.shuffled([
      `${a} ${told} ${base} ${kind.many}`,
      `${b} ${told} ${ratio} as many ${kind.many} as ${a}`,
    ]),
    asks: [
      [
        ask(`${how} ${asked(String(b))}`, times(base, factor)),
        ask(`${how} ${asked(String(b))}`, times(base, factor)),
      ],
      [askAll(`${how} ${both}`, plus(base, times(base, factor)))],
      [ask(`how many more ${kind.many} ${asked(String(b))} than ${a}`, minus(times(base, factor), base))],
    ],
  };
}

/** Two people who have two kinds each: which of the four counts matter? */
export function holdings(d: Draft): Story {
  const people = [d.person(), d.person()] as const;
  const { kinds, all, sort } = d.family(2);
  const verb = d.chance(0.4) ? d.gain(sort) : null;
  const told = verb ? verb.past : d.one(['has', 'had']);
  const have = (who: string): string =>
    verb
      ? `did ${who} ${verb.base}`
      : told === 'had'
        ? `did ${who} have`
        : `${/ and |they/.test(who) ? 'do' : 'does'} ${who} have`;
  const cells = people.map(() => kinds.map(() => d.count()));
  const facts = people.map(
    (person, p) =>
      `${person} ${told} ${listed(d.shuffled([0, 1]).map((k) => `${cells[p]![k]} ${kinds[k]!.many}`))}`,
  );
  const cell = (p: number, k: number): Term => cells[p]![k]!;
  const both = d.one(['they', people.map(({ name }) => name).join(' and ')]);
  return {
    facts,
    asks: [
      [0, 1].flatMap((k) =>
        [0, 1].map((p) =>
          ask(
            `how many more ${kinds[k]!.many} ${have(String(people[p]))} than ${people[1 - p]}`,
            minus(cell(p, k), cell(1 - p, k)),
          ),
        ),
      ),
      [0, 1].flatMap((p) => differences(d, kinds, cells[p]!, have(String(people[p])))),
      [0, 1].map((k) =>
        ask(
          `how many ${kinds[k]!.many} ${have(both)} [in all|altogether|together]`,
          plus(cell(0, k), cell(1, k)),
        ),
      ),
      [0, 1].map((p) =>
        askAll(
          `how many ${all} ${have(String(people[p]))} [in all|altogether|in total]`,
          plus(cell(p, 0), cell(p, 1)),
        ),
      ),
      [
        askAll(
          `how many more ${all} ${have(String(people[0]))} than ${people[1]}`,
          minus(plus(...cells[0]!), plus(...cells[1]!)),
        ),
        askAll(
          `how many more ${all} ${have(String(people[1]))} than ${people[0]}`,
          minus(plus(...cells[1]!), plus(...cells[0]!)),
        ),
      ],
      differences(d, kinds, [plus(cell(0, 0), cell(1, 0)), plus(cell(0, 1), cell(1, 1))], have(both)),
    ],
  };
}

/** Two kinds of one thing beside another thing: the question takes the two together, or one of them. */
export function subkinds(d: Draft): Story {
  const sort = d.sort();
  const noun = d.word(sort.nouns);
  const [a, b] = d.some(2, sort.adjectives).map((adjective) => kindOf(`${adjective} ${noun}`)) as [
    Kind,
    Kind,
  ];
  const all = kindOf(noun);
  const other = d.thing(d.chance(0.5) ? sort : d.sort());
  const [x, y, z] = [d.count(), d.count(), d.count()];
  const person = d.person();
  const where = d.one(world.PLACES);
  const owned = d.chance(0.6);
  const parts = [`${x} ${a.many}`, `${y} ${b.many}`, `${z} ${other.many}`];
  const facts = owned
    ? d.one([
        [`${person} has ${listed(d.shuffled(parts))}`],
        [`${person} has ${parts[0]} and ${parts[1]}`, `${person} also has ${parts[2]}`],
        [`${person} has ${parts[2]}`, `${person} also has ${parts[1]} and ${parts[0]}`],
      ])
    : d.one([
        [`there are ${listed(d.shuffled(parts))} ${where}`],
        [`there are ${parts[0]} and ${parts[1]} ${where}`, `there are also ${parts[2]} there`],
      ]);
  const clause = owned ? `does ${person} have` : `are there ${where}`;
  const sum = plus(x, y);
  return {
    facts,
    asks: [
      [askAll(`how many ${all.many} ${clause} [in all|altogether|]`, sum)],
      [
        ask(`how many more ${all.many} than ${other.many} ${clause}`, minus(sum, z)),
        ask(`how many more ${other.many} than ${all.many} ${clause}`, minus(z, sum)),
      ],
      differences(d, [a, b, other], [x, y, z], clause),
      [askAll(`how many things ${clause} in all`, plus(x, y, z))],
    ],
  };
}
