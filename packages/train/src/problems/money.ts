import {
  ask,
  askAll,
  kindOf,
  listed,
  minus,
  over,
  plus,
  times,
  type Ask,
  type Draft,
  type Quantity,
  type Story,
} from './draft.js';
import * as world from './world.js';

/** A price in the text: "$ 5" or "5 dollars". */
const dollars = (d: Draft, amount: Quantity): string => (d.chance(0.5) ? `$ ${amount}` : `${amount} dollars`);
const each = '[for each one|a piece|per piece]';

/** So many of one thing at a price. */
export function costs(d: Draft): Story {
  const person = d.person();
  const thing = d.thing();
  const shop = d.one(world.SHOPS);
  const pays = d.chance(0.65);
  const unit = d.one([
    `each ${thing.one} costs`,
    `one ${thing.one} costs`,
    `the price of a ${thing.one} is`,
    `a ${shop} sells ${thing.many} for`,
  ]);
  switch (d.one(['total', 'total', 'price', 'count', 'of', 'discount', 'profit'])) {
    case 'total': {
      const [p, n] = [d.price(), d.number(2, 30)];
      const facts = d.one([
        d.shuffled([
          `${unit} ${dollars(d, p)}${unit.endsWith('for') ? ` ${each}` : ''}`,
          `${person} ${pays ? 'bought' : 'sold'} ${n} ${thing.many}`,
        ]),
        [`${person} ${pays ? 'bought' : 'sold'} ${n} ${thing.many} for ${dollars(d, p)} ${each}`],
      ]);
      const question = pays
        ? d.one([
            `what did ${person.name} [pay|spend] [in all|altogether|for them]`,
            `[how much money|how many dollars|what amount of money] did ${person.name} spend`,
            `how much did the ${thing.many} cost [in all|]`,
          ])
        : `[how much money|how many dollars|what amount of money] did ${person.name} [make|earn|get]`;
      return { facts, asks: [[askAll(question, times(n, p))]] };
    }
    case 'price': {
      const n = d.number(2, 25);
      const t = d.quantity(n.value * d.between(2, 20));
      return {
        facts: [
          `${person} ${pays ? d.one(['paid', 'spent']) : 'got'} ${dollars(d, t)} for ${n} ${thing.many}`,
          ...(d.chance(0.4) ? [`all ${thing.many} ${pays ? 'cost' : 'sold for'} the same`] : []),
        ],
        asks: [
          [
            ask(
              d.one([
                `how much [did|does] each ${thing.one} cost`,
                `what [was|is] the price of one ${thing.one}`,
                `how much was each ${thing.one}`,
              ]),
              over(t, n),
            ),
          ],
        ],
      };
    }
    case 'count': {
      const price = d.between(2, 20);
      const p = d.quantity(price);
      const t = d.quantity(price * d.between(2, 25));
      return {
        facts: d.shuffled([
          `${person} ${pays ? 'has' : 'got'} ${dollars(d, t)}`,
          `each ${thing.one} ${pays ? 'costs' : 'was sold for'} ${dollars(d, p)}`,
        ]),
        asks: [
          [
            ask(
              pays
                ? d.one([
                    `how many ${thing.many} can ${person} buy [with this money|]`,
                    `how many ${thing.many} can ${person} afford`,
                  ])
                : `how many ${thing.many} did ${person} sell`,
              over(t, p),
            ),
          ],
        ],
      };
    }
    case 'of': {
      const n = d.number(2, 12);
      const t = d.quantity(n.value * d.between(2, 12));
      const m = d.number(2, 20);
      return {
        facts: [`${n} ${thing.many} cost ${dollars(d, t)}`],
        asks: [[ask(`how much [do|would] ${m} ${thing.many} cost`, times(over(t, n), m))]],
      };
    }
    case 'discount': {
      const p = d.number(8, 90);
      const off = d.number(2, p.value - 2);
      const n = d.number(2, 60);
      const reduced = minus(p, off);
      const facts = [
        `a ${shop} usually sells a ${thing.one} for ${dollars(d, p)}`,
        `during a sale the price went down by ${dollars(d, off)} per ${thing.one}`,
      ];
      const one = ask(`how much did one ${thing.one} cost in the sale`, reduced);
      const all = times(reduced, n);
      return d.chance(0.6)
        ? {
            facts: [...facts, `${person} bought ${n} ${thing.many} [in the sale|then]`],
            asks: [[one], [ask(`what did ${person.name} pay [in all|for them|]`, all)]],
          }
        : {
            facts,
            asks: [[one], [ask(`how much did ${person} pay for ${n} ${thing.many} in the sale`, all)]],
          };
    }
    default: {
      const buy = d.number(2, 40);
      const sell = d.number(buy.value + 1, buy.value + 40);
      const n = d.number(2, 40);
      return {
        facts: [
          `each ${thing.one} costs ${person.him} ${dollars(d, buy)} and is sold for ${dollars(d, sell)}`,
          `${n} of them were sold`,
        ],
        asks: [
          [
            ask(
              `how much [profit|money] did ${person.name} make [in all|on them|]`,
              times(minus(sell, buy), n),
            ),
          ],
          [ask(`how much more does ${person.name} get than pay for one ${thing.one}`, minus(sell, buy))],
          [ask(`how much did ${person.name} pay for the ${n}`, times(buy, n))],
        ].slice(0, 2),
      };
    }
  }
}

/** Two goods with a price each; of one kind or both the cost is asked. */
export function twoGoods(d: Draft): Story {
  const person = d.person();
  const [a, b] = [d.thing(), d.thing()];
  if (d.chance(0.45)) {
    const [x, y] = [d.price(90), d.price(90)];
    const facts = [
      d.one([
        `${person} bought a ${a.one} for ${dollars(d, x)} and a ${b.one} for ${dollars(d, y)}`,
        `a ${a.one} costs ${dollars(d, x)} and a ${b.one} costs ${dollars(d, y)}`,
        `${person} paid ${dollars(d, x)} for the ${a.one} and ${dollars(d, y)} for the ${b.one}`,
      ]),
    ];
    return {
      facts,
      asks: [
        [
          askAll(
            d.one([
              `how much [did|does] ${person.name} [pay|spend] [in all|altogether]`,
              `how much do the ${a.one} and the ${b.one} cost together`,
            ]),
            plus(x, y),
          ),
        ],
        [
          ask(`how much more [did|does] the ${a.one} cost than the ${b.one}`, minus(x, y)),
          ask(`how much more [did|does] the ${b.one} cost than the ${a.one}`, minus(y, x)),
        ],
      ],
    };
  }
  const [p, q] = [d.price(), d.price()];
  const [m, n] = [d.number(2, 20), d.number(2, 20)];
  const facts = d.one([
    [
      `${person} bought ${m} ${a.many} for ${dollars(d, p)} ${each} and ${n} ${b.many} for ${dollars(d, q)} ${each}`,
    ],
    [
      `a ${a.one} costs ${dollars(d, p)} and a ${b.one} costs ${dollars(d, q)}`,
      `${person} [bought|sold] ${m} ${a.many} and ${n} ${b.many}`,
    ],
    [
      `a ${a.one} costs ${dollars(d, p)} and a ${b.one} costs ${dollars(d, q)}`,
      `${person} [bought|sold] ${n} ${b.many} and ${m} ${a.many}`,
    ],
    [
      `${person} gets ${dollars(d, p)} for [each|every] ${a.one} and ${dollars(d, q)} for [each|every] ${b.one}`,
      `[yesterday|last week|] ${person} sold ${listed(d.shuffled([`${m} ${a.many}`, `${n} ${b.many}`]))}`,
    ],
  ]);
  const [forA, forB] = [times(m, p), times(n, q)];
  return {
    facts,
    asks: [
      [
        ask(`how much more is [one|a single] ${a.one} than [one|a single] ${b.one}`, minus(p, q)),
        ask(`how much more is [one|a single] ${b.one} than [one|a single] ${a.one}`, minus(q, p)),
      ],
      [
        ask(`[how much money|how many dollars|what amount of money] was that for the ${a.many}`, forA),
        ask(`how much did the ${b.many} cost [in all|]`, forB),
        ask(`how much was paid for the ${a.many}`, forA),
        ask(`how much was paid for the ${b.many}`, forB),
        ask(`how much [money|] came from the ${a.many}`, forA),
        ask(`how much [money|] came from selling the ${b.many}`, forB),
      ],
      [
        askAll(`how much was paid in all`, plus(forA, forB)),
        askAll('what was the total price', plus(forA, forB)),
      ],
      [
        ask(`how many ${a.many} and ${b.many} were there [in all|altogether]`, plus(m, n)),
        ask(`how many more ${a.many} than ${b.many} were there`, minus(m, n)),
        ask(`how many more ${b.many} than ${a.many} were there`, minus(n, m)),
      ],
      [
        ask(`how much more was paid for the ${a.many} than for the ${b.many}`, minus(forA, forB)),
        ask(`how much more was paid for the ${b.many} than for the ${a.many}`, minus(forB, forA)),
      ],
    ],
  };
}

/** Money that is spent, earned and left. */
export function wallet(d: Draft): Story {
  const person = d.person();
  const [a, b] = [d.thing(), d.thing()];
  const high = d.one([20, 60, 100, 300]);
  const had = d.number(Math.ceil(high / 3) + 4, high);
  switch (d.one(['spent', 'spent', 'start', 'price', 'earned', 'change', 'more', 'buys'])) {
    case 'spent': {
      const x = d.number(1, Math.floor(had.value / 2) - 1);
      const y = d.chance(0.5) ? d.number(1, Math.ceil(had.value / 2) - 1) : null;
      const facts = [
        `${person} had ${dollars(d, had)} [in cash|in {0s} wallet|in the bank|in {0s} pocket]`,
        d.one([
          `${person} spent ${dollars(d, x)} of it on a ${a.one}`,
          `${person} bought a ${a.one} for ${dollars(d, x)}`,
          `${person} paid ${dollars(d, x)} for ${a.many}`,
        ]),
        ...(y ? [`~${person} [bought|also bought] a ${b.one} for ${dollars(d, y)}`] : []),
      ];
      const left = ask(
        `[how much money|how many dollars|what amount of money] does ${person.name} have [left|now]`,
        minus(had, x, ...(y ? [y] : [])),
      );
      return {
        facts,
        asks: [
          [left],
          [ask(`how much does ${person.name} still have`, left.term)],
          y ? [ask(`how much did ${person.name} spend [in all|altogether]`, plus(x, y))] : [],
          y
            ? [
                ask(
                  `how much more did ${person.name} spend on the ${a.one} than on the ${b.one}`,
                  minus(x, y),
                ),
                ask(
                  `how much more did ${person.name} spend on the ${b.one} than on the ${a.one}`,
                  minus(y, x),
                ),
              ]
            : [],
        ],
      };
    }
    case 'start': {
      const [x, left] = [d.number(1, high), d.number(1, high)];
      return {
        facts: [
          `${person} bought [a ${a.one}|some ${a.many}] for ${dollars(d, x)}`,
          `${person} kept ${dollars(d, left)} [of the money|for later|in {0s} purse]`,
        ],
        asks: [
          [
            ask(
              `[how much money|how many dollars|what amount of money] did ${person.name} have [before that|at first|to start with|in the beginning]`,
              plus(x, left),
            ),
          ],
        ],
      };
    }
    case 'price': {
      const left = d.number(1, had.value - 1);
      return {
        facts: [
          `${person} had ${dollars(d, had)} [in cash|in {0s} wallet|in the bank|in {0s} pocket]`,
          d.one([
            `after buying a ${a.one} ${person} still had ${dollars(d, left)}`,
            `${person} bought a ${a.one} and ${person} now has only ${dollars(d, left)}`,
          ]),
        ],
        asks: [
          [ask(`how much did the ${a.one} cost`, minus(had, left))],
          [ask(`what was the price of the ${a.one}`, minus(had, left))],
        ],
      };
    }
    case 'earned': {
      const [first, second] = d.periods(2);
      const x = d.number(2, high);
      const y = d.number(2, high);
      const z = d.chance(0.4) ? d.number(1, x.value + y.value - 2) : null;
      return {
        facts: [
          `${person} earned ${dollars(d, x)} ${first} and then ${dollars(d, y)} ${second}`,
          ...(z ? [`${person} spent ${dollars(d, z)} on ${a.many}`] : []),
        ],
        asks: [
          z ? [ask(`how much of it does ${person.name} have left`, minus(plus(x, y), z))] : [],
          [ask(`how much did ${person.name} earn in all`, plus(x, y))],
          [
            ask(`how much more did ${person.name} earn ${first} than ${second}`, minus(x, y)),
            ask(`how much more did ${person.name} earn ${second} than ${first}`, minus(y, x)),
          ],
        ],
      };
    }
    case 'change': {
      const [p, n] = [d.number(1, 9), d.number(2, 9)];
      const bill = d.quantity(p.value * n.value + d.between(1, 30));
      return {
        facts: [
          `${person} bought ${n} ${a.many} for ${dollars(d, p)} ${each}`,
          `${person} paid with ${dollars(d, bill)}`,
        ],
        asks: [
          [ask(`how much change did ${person.name} get [back|]`, minus(bill, times(n, p)))],
          [ask(`how much did the ${a.many} cost in all`, times(n, p))],
        ],
      };
    }
    case 'more': {
      const price = d.number(had.value + 2, had.value + 100);
      return {
        facts: d.shuffled([
          `${person} has put aside ${dollars(d, had)}`,
          `${person} is saving for a ${a.one} that costs ${dollars(d, price)}`,
        ]),
        asks: [
          [
            ask(
              d.one([
                `how many more dollars must ${person.name} have`,
                `how many dollars must ${person.name} still save`,
                `how much is missing`,
              ]),
              minus(price, had),
            ),
          ],
        ],
      };
    }
    default: {
      const price = d.between(2, 12);
      const spent = d.between(2, 40);
      const grows = d.chance(0.4);
      const usable = price * d.between(2, 15);
      if (grows && usable <= spent + 1) return costs(d);
      const start = d.quantity(grows ? usable - spent : usable + spent);
      const [x, p] = [d.quantity(spent), d.quantity(price)];
      const money = grows ? plus(start, x) : minus(start, x);
      return {
        facts: [
          `${person} had saved ${dollars(d, start)}`,
          grows
            ? `{0s} ${d.one(world.RELATIVES)} gave ${person.him} ${dollars(d, x)} more`
            : `${person} spent ${dollars(d, x)} of it on a ${b.one}`,
          `${a.many} cost ${dollars(d, p)} ${each}`,
        ],
        asks: [
          [
            ask(
              `how many ${a.many} can ${person} buy [with the ${grows ? '' : 'remaining '}money|now]`,
              over(money, p),
            ),
          ],
          [ask(`[how much money|how many dollars|what amount of money] does ${person.name} have now`, money)],
        ],
      };
    }
  }
}

/** Pay by the hour, the day or the piece. */
export function wages(d: Draft): Story {
  const person = d.person();
  const unit = kindOf(d.one(['hour', 'day', 'week', 'month', 'lawn', 'car', 'shift', 'lesson', 'house']));
  const job = d.one(['works', 'has a job', 'helps out', 'mows and cleans']);
  const pay = d.between(3, 40);
  const count = d.between(2, 30);
  const rate = (p: Quantity): string =>
    d.one([
      `${person} earns ${dollars(d, p)} [per|for each|for every] ${unit.one}`,
      `${person} ${job} for ${dollars(d, p)} per ${unit.one}`,
    ]);
  const done = (n: Quantity): string =>
    ['lawn', 'car', 'lesson', 'house'].includes(unit.one)
      ? `${person} [did|finished] ${n} ${unit.many}`
      : `${person} worked ${n} ${unit.many} for this`;
  switch (d.one(['total', 'count', 'pay', 'expenses', 'two'])) {
    case 'total': {
      const [p, n] = [d.quantity(pay), d.quantity(count)];
      return {
        facts: d.shuffled([rate(p), done(n)]),
        asks: [[ask(`how much [money|] did ${person.name} earn [in all|altogether|]`, times(p, n))]],
      };
    }
    case 'count': {
      const p = d.quantity(pay);
      const t = d.quantity(pay * count);
      return {
        facts: [
          rate(p),
          d.one([
            `${person} earned ${dollars(d, t)} [in all|]`,
            `${person} needs ${dollars(d, t)} for a bike`,
          ]),
        ],
        asks: [
          [ask(`how many ${unit.many} is that`, over(t, p))],
          [ask(`how many ${unit.many} does that take`, over(t, p))],
        ],
      };
    }
    case 'pay': {
      const n = d.quantity(count);
      const t = d.quantity(pay * count);
      return {
        facts: [`${person} earned ${dollars(d, t)} for ${n} ${unit.many}`],
        asks: [[ask(`how much did ${person.name} earn per ${unit.one}`, over(t, n))]],
      };
    }
    case 'expenses': {
      const p = d.quantity(pay + 3);
      const cost = d.number(1, pay);
      const n = d.quantity(count);
      return {
        facts: [rate(p), `${person} spends ${dollars(d, cost)} per ${unit.one} on food`, done(n)],
        asks: [
          [
            ask(
              `[how much money|how many dollars|what amount of money] does ${person.name} have left`,
              times(minus(p, cost), n),
            ),
          ],
          [ask(`how much did ${person.name} earn [in all|altogether]`, times(p, n))],
          [ask(`how much did ${person.name} spend on food`, times(cost, n))],
        ],
      };
    }
    default: {
      const [p, n, m] = [d.quantity(pay), d.quantity(count), d.number(2, 12)];
      return {
        facts: [
          rate(p),
          `${person} did ${n} ${unit.many} ${d.one(['in the beginning', 'last month', 'in may'])} and ${m} ${unit.many} after that`,
        ],
        asks: [
          [ask(`how much did ${person.name} earn in all`, times(p, plus(n, m)))],
          [ask(`how many ${unit.many} did ${person} do [in all|altogether]`, plus(n, m))],
        ],
      };
    }
  }
}

/** Coins: so many cents are so many dollars. */
export function coins(d: Draft): Story {
  const person = d.person();
  const form = d.one(['cents', 'coins', 'coins', 'two']);
  if (form === 'cents') {
    const n = d.number(2, 60);
    const cents = d.number(5, 95);
    const thing = d.thing();
    return {
      facts: [`one ${thing.one} costs ${cents} cents`, `${person} bought ${n} ${thing.many}`],
      asks: [
        [ask(`how many dollars did ${person.name} pay`, times(n, cents, 0.01))],
        [ask(`how many cents did ${person} pay`, times(n, cents))],
      ],
    };
  }
  const worth = { nickel: 0.05, dime: 0.1, quarter: 0.25, penny: 0.01 } as const;
  const [a, b] = d.some(2, Object.keys(worth) as (keyof typeof worth)[]) as [
    keyof typeof worth,
    keyof typeof worth,
  ];
  const [x, y] = [d.number(2, 60), d.number(2, 60)];
  const parts = [`${x} ${world.plural(a)}`, `${y} ${world.plural(b)} in {0s} pocket`];
  const asks: Ask[][] = [
    [ask(`how many dollars are the ${world.plural(a)} worth`, times(x, worth[a]))],
    [askAll(`how many coins does ${person.name} have [in all|altogether]`, plus(x, y))],
    [
      ask(`how many more ${world.plural(a)} than ${world.plural(b)} does ${person} have`, minus(x, y)),
      ask(`how many more ${world.plural(b)} than ${world.plural(a)} does ${person} have`, minus(y, x)),
    ],
  ];
  if (form === 'two')
    asks.push([askAll('how many dollars is that', plus(times(x, worth[a]), times(y, worth[b])))]);
  return { facts: [`${person} has ${listed(parts)}`], asks };
}
