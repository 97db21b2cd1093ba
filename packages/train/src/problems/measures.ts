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
  type Story,
} from './draft.js';
import * as world from './world.js';

const LENGTHS = ['meter', 'foot', 'inch', 'yard', 'centimeter'];
const FAR = ['mile', 'kilometer'];

/** Rectangles: area, perimeter, and a side from them. */
export function rectangles(d: Draft): Story {
  const unit = world.plural(d.one(LENGTHS));
  const what = d.one([
    'garden',
    'field',
    'room',
    'pool',
    'carpet',
    'yard',
    'picture frame',
    'table top',
    'playground',
    'poster',
    'wall',
    'parking lot',
    'farm',
    'flag',
    'floor',
    'tennis court',
    'pen for goats',
    'bed sheet',
  ]);
  const person = d.person();
  const [a, b] = [d.between(3, 60), d.between(2, 40)];
  switch (d.one(['area', 'area', 'perimeter', 'side', 'fence', 'square'])) {
    case 'area': {
      const [x, y] = [d.quantity(a), d.quantity(b)];
      return {
        facts: [
          d.one([
            `a ${what} is ${x} ${unit} long and [only|also|just|] ${y} wide`,
            `the ${what} of ${person.name} is ${x} ${unit} long and [only|also|just|] ${y} wide`,
            `a rectangular ${what} is ${y} ${unit} in width and ${x} in length`,
            `${person} measures a ${what} that is ${x} by ${y} ${unit}`,
          ]),
        ],
        asks: [
          [
            ask(`what is [its area|the area] in square ${unit}`, times(x, y)),
            ask(
              `how many square ${unit} [does it cover|large is it]`.replace('large is it', 'is that'),
              times(x, y),
            ),
          ],
          [
            ask(
              d.one([
                `what is its perimeter in ${unit}`,
                `how long is the way around it`,
                `how many ${unit} is it around`,
              ]),
              times(2, plus(x, y)),
            ),
          ],
          [ask(`how many ${unit} longer than wide is it`, minus(x, y))],
        ],
      };
    }
    case 'side': {
      const t = d.quantity(a * b);
      const x = d.quantity(a);
      const [given, asked] = d.shuffled(['long', 'wide']);
      return {
        facts: [`a rectangular ${what} has an area of ${t} square ${unit}`, `it is ${x} ${unit} ${given}`],
        asks: [[ask(`how ${asked} is it`, over(t, x))]],
      };
    }
    case 'square': {
      const s = d.quantity(a);
      return {
        facts: [`each side of a square ${what} is ${s} ${unit} long`],
        asks: [
          [ask(`what is its perimeter`, times(4, s))],
          [ask(`what area in square ${unit} has the ${what}`, times(s, s))],
        ],
      };
    }
    default: {
      const [x, y] = [d.quantity(a), d.quantity(b)];
      const p = d.number(2, 12);
      return {
        facts: [
          `${person} builds a fence around a ${what} of ${x} by ${y} ${unit}`,
          `a ${unit === 'feet' ? 'foot' : unit.replace(/e?s$/, (s) => (unit === 'inches' ? '' : s === 'es' ? 'e' : ''))} of fence costs ${p} dollars`,
        ],
        asks: [
          [ask(`how many ${unit} of fence does ${person} need`, times(2, plus(x, y)))],
          [ask('how much does the fence cost', times(times(2, plus(x, y)), p))],
        ],
      };
    }
  }
}

/** Speed, distance, time. */
export function speeds(d: Draft): Story {
  const unit = kindOf(d.one(FAR));
  const [past, base] = d.one([
    ['drove', 'drive'],
    ['cycled', 'cycle'],
    ['walked', 'walk'],
    ['ran', 'run'],
    ['rode', 'ride'],
    ['sailed', 'sail'],
    ['skated', 'skate'],
    ['hiked', 'hike'],
    ['traveled', 'travel'],
    ['flew', 'fly'],
  ]) as [string, string];
  const person = d.person();
  const [speed, hours] = [d.between(3, 80), d.between(2, 12)];
  switch (d.one(['distance', 'time', 'speed', 'left', 'two', 'both'])) {
    case 'distance': {
      const [s, h] = [d.quantity(speed), d.quantity(hours)];
      return {
        facts: d.shuffled([
          `${person} ${past} ${s} ${unit.many} [in every hour|in each hour|an hour all the way]`,
          `the trip took ${h} hours`,
        ]),
        asks: [
          [
            ask(`how far did ${person} ${base}`, times(s, h)),
            ask(`how many ${unit.many} did ${person.name} ${base}`, times(s, h)),
          ],
        ],
      };
    }
    case 'time': {
      const s = d.quantity(speed);
      const t = d.quantity(speed * hours);
      return {
        facts: d.shuffled([
          `${person} ${past} ${t} ${unit.many}`,
          `${person} ${past} ${s} ${unit.many} [per|an|every] hour`,
        ]),
        asks: [
          [
            ask(
              d.one([
                `how many hours did it take`,
                `for how many hours did ${person} ${base}`,
                `how long did the trip take`,
              ]),
              over(t, s),
            ),
          ],
        ],
      };
    }
    case 'speed': {
      const h = d.quantity(hours);
      const t = d.quantity(speed * hours);
      return {
        facts: [
          d.one([
            `${person} ${past} ${t} ${unit.many} in ${h} hours`,
            `it took ${person.name} ${h} hours to ${base} ${t} ${unit.many}`,
          ]),
        ],
        asks: [
          [
            ask(
              d.one([
                `how many ${unit.many} did ${person.name} ${base} per hour`,
                `what was the average speed`,
                `how fast did ${person} ${base}`,
              ]),
              over(t, h),
            ),
          ],
        ],
      };
    }
    case 'left': {
      const s = d.quantity(speed);
      const h = d.quantity(hours);
      const t = d.quantity(speed * hours + d.between(2, 200));
      return {
        facts: [
          `${person} has to ${base} ${t} ${unit.many}`,
          `so far ${person} ${past} ${h} hours with ${s} ${unit.many} in each hour`,
        ],
        asks: [
          [ask(`how many ${unit.many} are left`, minus(t, times(s, h)))],
          [ask(`how far did ${person} ${base} [already|so far]`, times(s, h))],
        ],
      };
    }
    case 'two': {
      const [s, h] = [d.quantity(speed), d.quantity(hours)];
      const [q, k] = [d.number(3, 80), d.number(2, 12)];
      return {
        facts: [
          `${person} ${past} ${h} hours with ${s} ${unit.many} in each hour and then ${k} hours with ${q} ${unit.many} in each`,
        ],
        asks: [
          [askAll(`how many ${unit.many} did ${person.name} ${base} in all`, plus(times(s, h), times(q, k)))],
          [ask(`how many hours did ${person} ${base} in all`, plus(h, k))],
        ],
      };
    }
    default: {
      const other = d.person();
      const [x, y] = [d.number(2, 90), d.number(2, 90)];
      const gap = d.number(1, 30);
      return d.chance(0.5)
        ? {
            facts: [`${person} ${past} ${x} ${unit.many} and ${other} ${past} ${y} ${unit.many}`],
            asks: [
              [
                ask(`how much [farther|further] did ${person} ${base} than ${other}`, minus(x, y)),
                ask(`how much [farther|further] did ${other} ${base} than ${person}`, minus(y, x)),
              ],
              [askAll(`how many ${unit.many} did [they|the two] ${base} together`, plus(x, y))],
            ],
          }
        : {
            facts: [
              `${person} ${past} ${x} ${unit.many}`,
              d.one([`${other} ${past} ${gap} ${unit.many} [farther|further] than ${person}`]),
            ],
            asks: [
              [ask(`how far did ${other} ${base}`, plus(x, gap))],
              [ask(`how many ${unit.many} did ${other} ${base}`, plus(x, gap))],
            ],
          };
    }
  }
}

/** The average of two or three numbers, or a total from an average. */
export function averages(d: Draft): Story {
  const person = d.person();
  const deed = d.one(world.DEEDS);
  const noun = world.plural(deed.noun);
  const count = d.one([2, 2, 3]);
  const periods = d.periods(count);
  if (d.chance(0.25)) {
    const [m, n] = [d.number(3, 60), d.number(3, 12)];
    return {
      facts: [`${person} ${deed.past} ${m} ${noun} a day on average`, `${person} did this for ${n} days`],
      asks: [[ask(`how many ${noun} did ${person.name} ${deed.base} in all`, times(m, n))]],
    };
  }
  const values = periods.map(() => d.between(3, Math.max(20, d.scale)));
  values[0]! += (count - (values.reduce((sum, value) => sum + value, 0) % count)) % count;
  const numbers = values.map((value) => d.quantity(value));
  return {
    facts: [
      `${person} ${deed.past} ${listed(numbers.map((number, at) => `${number} ${at === 0 ? noun : ''} ${periods[at]}`))}`,
    ],
    asks: [
      [
        ask(
          d.one([
            `how many ${noun} is that on average`,
            `what is the average number of ${noun}`,
            `how many ${noun} did ${person.name} ${deed.base} on average`,
          ]),
          over(plus(...numbers), count),
        ),
      ],
      [ask(`what is the average number of ${noun}`, over(plus(...numbers), count))],
    ],
  };
}

/** Who is older, and how old in some years. */
export function ages(d: Draft): Story {
  const [a, b] = [d.person(), d.person()];
  const x = d.number(12, 70);
  switch (d.one(['older', 'younger', 'backwards', 'later', 'ago', 'gap', 'times'])) {
    case 'older': {
      const y = d.number(2, 30);
      return {
        facts: d.shuffled([`${a} is ${x} years old`, `${b} is ${y} years older than ${a}`]),
        asks: [
          [ask(`how old is ${b}`, plus(x, y))],
          [ask(`how many years do the ages of ${a.name} and ${b.name} add up to`, plus(x, plus(x, y)))],
        ].slice(0, d.one([1, 1, 2])),
      };
    }
    case 'younger': {
      const y = d.number(1, x.value - 2);
      return {
        facts: d.shuffled([
          `${a} is ${x} years old`,
          d.one([`${b} is ${y} years younger than ${a}`, `${a} is ${y} years older than ${b}`]),
        ]),
        asks: [[ask(`how old is ${b}`, minus(x, y))]],
      };
    }
    case 'backwards': {
      const y = d.number(2, 30);
      return {
        facts: d.shuffled([`${a} is ${x} years old`, `${a} is ${y} years younger than ${b}`]),
        asks: [[ask(`how old is ${b}`, plus(x, y))]],
      };
    }
    case 'later': {
      const y = d.number(2, 30);
      return {
        facts: [`${a} is ${x} years old [now|today|] according to {0s} ${d.one(world.RELATIVES)}`],
        asks: [
          [ask(`how old will ${a} be in ${y} years`, plus(x, y))],
          [ask(`how old was ${a} ${y} years ago`, minus(x, y))],
        ],
      };
    }
    case 'ago': {
      const y = d.number(2, 30);
      return {
        facts: [`${y} years ago ${a} was ${x} years of age`],
        asks: [[ask(`how old is ${a.name} [now|today]`, plus(x, y))]],
      };
    }
    case 'gap': {
      const y = d.number(2, 70);
      return {
        facts: [`${a} is ${x} and ${b} is ${y} years old`],
        asks: [
          [
            ask(`how much older is ${a} than ${b}`, minus(x, y)),
            ask(`how much older is ${b} than ${a}`, minus(y, x)),
          ],
          [ask(`how many years are their ages together`, plus(x, y))],
        ],
      };
    }
    default: {
      const n = d.number(2, 5);
      const young = d.number(4, 18);
      return {
        facts: d.shuffled([`${a} is ${n} times as old as ${b}`, `${b} is ${young} years old`]),
        asks: [[ask(`how old is ${a}`, times(n, young))]],
      };
    }
  }
}

/** Dozens, pairs, weeks, hours: a constant that the text does not write as a number. */
export function units(d: Draft): Story {
  const person = d.person();
  const sort = d.sort();
  const thing = d.thing(sort);
  const n = d.number(2, 30);
  const deed = d.one(world.DEEDS);
  const noun = world.plural(deed.noun);
  const [big, small, factor] = d.one([
    ['week', 'day', 7],
    ['hour', 'minute', 60],
    ['minute', 'second', 60],
    ['day', 'hour', 24],
    ['year', 'month', 12],
    ['year', 'week', 52],
    ['year', 'day', 365],
    ['foot', 'inch', 12],
    ['meter', 'centimeter', 100],
    ['kilometer', 'meter', 1000],
    ['yard', 'foot', 3],
    ['gallon', 'quart', 4],
    ['pound', 'ounce', 16],
  ] as const);
  const [Big, Small] = [world.plural(big), world.plural(small)];
  const verb = d.gain(sort);
  switch (d.one(['dozen', 'dozen price', 'pairs', 'convert', 'back', 'weekly', 'weekly total', 'legs'])) {
    case 'dozen': {
      const gone = d.chance(0.4) ? d.number(2, n.value * 12 - 1) : null;
      const all = times(n, 12);
      return {
        facts: [
          `${person} ${verb.past} ${n} dozen ${thing.many}`,
          ...(gone ? [`${person} ${d.loss(sort).past} ${gone} of them`] : []),
        ],
        asks: [
          [
            gone
              ? ask(`how many ${thing.many} are left`, minus(all, gone))
              : ask(`how many ${thing.many} did ${person} ${verb.base}`, all),
          ],
        ],
      };
    }
    case 'dozen price': {
      const p = d.number(2, 30);
      return {
        facts: d.shuffled([
          `a dozen ${thing.many} cost $ ${p}`,
          `${person} ${verb.past} ${n} dozen [of them|]`,
        ]),
        asks: [
          [ask(`what did ${person} pay`, times(n, p))],
          [ask(`how many ${thing.many} are ${n} dozen`.replace(String(n), 'these'), times(n, 12))],
        ].slice(0, 1),
      };
    }
    case 'pairs': {
      const pair = d.one(['sock', 'glove', 'boot', 'mitten', 'sandal', 'earring', 'shoe', 'skate']);
      const [size, word] = d.one([
        [2, 'pairs'],
        [2, 'pairs'],
      ] as const);
      return {
        facts: [`${person} has ${n} ${word} of ${world.plural(pair)}`],
        asks: [
          [
            ask(
              `how many single ${world.plural(pair)} [is that|are there|does ${person} have]`,
              times(n, size),
            ),
          ],
        ],
      };
    }
    case 'convert':
      return {
        facts: [
          d.one(
            [
              `the ${d.one(['trip', 'rope', 'job', 'course', 'task', 'visit'])} of ${person.name} was ${n} ${Big} long`,
              `${person} needed ${n} ${Big}`,
              `something took or measured ${n} ${Big}`,
            ].slice(0, 2),
          ),
        ],
        asks: [
          [ask(`how many ${Small} is that`, times(n, factor))],
          [ask(`what is that in ${Small}`, times(n, factor))],
        ],
      };
    case 'back': {
      const t = d.quantity(factor * d.between(2, 20));
      return {
        facts: [`${person} counted ${t} ${Small}`],
        asks: [[ask(`how many ${Big} is that`, over(t, factor))]],
      };
    }
    case 'weekly':
      return {
        facts: [`${person} ${deed.past} ${n} ${noun} every day`],
        asks: [
          [ask(`how many ${noun} did ${person.name} ${deed.base} in [a|one] week`, times(n, 7))],
          [ask(`how many ${noun} is that in [a|one] week`, times(n, 7))],
        ],
      };
    case 'weekly total': {
      const t = d.quantity(7 * d.between(2, 30));
      return {
        facts: [`${person} ${deed.past} ${t} ${noun} in one week`, `${person} did equally many every day`],
        asks: [[ask(`how many ${noun} did ${person.name} ${deed.base} per day`, over(t, 7))]],
      };
    }
    default: {
      const [animal, legs] = d.one([
        ['dog', 4],
        ['hen', 2],
        ['spider', 8],
        ['cow', 4],
        ['duck', 2],
        ['ant', 6],
        ['horse', 4],
        ['table', 4],
        ['tricycle', 3],
        ['car', 4],
        ['bicycle', 2],
      ] as const);
      const part = animal === 'tricycle' || animal === 'car' || animal === 'bicycle' ? 'wheels' : 'legs';
      return {
        facts: [`${person} sees ${n} ${world.plural(animal)}`],
        asks: [[ask(`how many ${part} do they have [in all|together|altogether]`, times(n, legs))]],
      };
    }
  }
}

/** Halves, quarters and percent of a number. */
export function fractions(d: Draft): Story {
  const person = d.person();
  const sort = d.sort();
  const thing = d.thing(sort);
  const verb = d.loss(sort);
  const how = `how many ${thing.many}`;
  if (d.chance(0.5)) {
    const [word, parts] = d.one([
      ['half', 2],
      ['half', 2],
      ['a third', 3],
      ['a quarter', 4],
      ['a fifth', 5],
      ['a tenth', 10],
    ] as const);
    const t = d.quantity(parts * d.between(2, Math.max(6, Math.floor(d.scale / parts))));
    const part = parts === 2 && d.chance(0.3) ? times(t, 0.5) : over(t, parts);
    const more = d.chance(0.3) ? d.number(1, Math.max(2, t.value / parts - 1)) : null;
    return {
      facts: [
        `${person} had ${t} ${thing.many}`,
        `${person} ${verb.past} ${word} of them`,
        ...(more ? [`after that ${person} ${verb.past} ${more} more`] : []),
      ],
      asks: [
        more
          ? [ask(`${how} did ${person} ${verb.base} in all`, plus(part, more))]
          : [ask(`${how} did ${person} ${verb.base}`, part)],
        more ? [] : [ask(`${how} are left`, minus(t, part))],
      ],
    };
  }
  const percent = d.quantity(d.one([5, 10, 15, 20, 25, 30, 40, 60, 75, 80, 90]));
  const t = d.quantity(20 * d.between(1, 30));
  const share = d.one([times(t, percent, 0.01), over(times(t, percent), 100)]);
  const sign = d.one(['%', '%', 'percent']);
  switch (d.one(['part', 'rest', 'price'])) {
    case 'part': {
      const adjective = d.one(sort.adjectives);
      return {
        facts: [
          d.one([
            `${person} has ${t} ${thing.many} and ${percent} ${sign} of them are ${adjective}`,
            `${percent} ${sign} of the ${t} ${thing.many} of ${person.name} are ${adjective}`,
          ]),
        ],
        asks: [
          [ask(`${how} are ${adjective}`, share)],
          [ask(`${how} are not ${adjective}`, minus(t, share))],
        ],
      };
    }
    case 'rest':
      return {
        facts: [`${person} had ${t} ${thing.many}`, `${person} ${verb.past} ${percent} ${sign} of them`],
        asks: [[ask(`${how} did ${person} ${verb.base}`, share)], [ask(`${how} are left`, minus(t, share))]],
      };
    default: {
      const off = d.chance(0.6);
      return {
        facts: [
          `a ${thing.one} costs ${d.one([`$ ${t}`, `${t} dollars`])}`,
          off ? `in the sale it is ${percent} ${sign} cheaper` : `the tax is ${percent} ${sign}`,
        ],
        asks: [
          [
            off
              ? ask('what is the price in the sale', minus(t, share))
              : ask('what is the price with tax', plus(t, share)),
          ],
          [ask(off ? 'how many dollars are saved' : 'how many dollars is the tax', share)],
        ],
      };
    }
  }
}

/** Lengths, weights and times that are compared, cut or added. */
export function measurements(d: Draft): Story {
  const person = d.person();
  const unit = kindOf(d.one(LENGTHS));
  const piece = d.one([
    'rope',
    'ribbon',
    'board',
    'wire',
    'pipe',
    'string',
    'cloth',
    'chain',
    'log',
    'hose',
    'tape',
  ]);
  const plant = d.one([
    'sunflower',
    'tree',
    'vine',
    'bamboo',
    'cactus',
    'bush',
    'tulip',
    'corn plant',
    'hedge',
    'tower',
  ]);
  switch (
    d.one([
      'cut',
      'cut into',
      'cut off',
      'grew',
      'grows to',
      'weights',
      'heights',
      'durations',
      'until',
      'trip',
    ])
  ) {
    case 'cut': {
      const [l, n] = [d.between(2, 12), d.between(2, 25)];
      const size = d.quantity(l);
      const t = d.quantity(l * n);
      return {
        facts: [
          `${person} has a ${piece} of ${t} ${unit.many}`,
          d.one([
            `${person} cuts it into pieces of ${size} ${unit.many}`,
            `each piece must be ${size} ${unit.many} long`,
          ]),
        ],
        asks: [[ask(`how many pieces [does ${person} get|are there|can be cut]`, over(t, size))]],
      };
    }
    case 'cut into': {
      const [l, n] = [d.between(2, 12), d.between(2, 15)];
      const t = d.quantity(l * n);
      const count = d.quantity(n);
      return {
        facts: [`${person} cut a ${piece} of ${t} ${unit.many} into ${count} equal pieces`],
        asks: [[ask(`how long is [each|one] piece`, over(t, count))]],
      };
    }
    case 'cut off': {
      const t = d.count(8);
      const x = d.number(1, t.value - 2);
      return {
        facts: [
          `the ${piece} of ${person.name} was ${t} ${unit.many} long`,
          `${person} cut ${x} ${unit.many} from it`,
        ],
        asks: [
          [ask(`how long is the ${piece} now`, minus(t, x))],
          [ask(`how many ${unit.many} are left`, minus(t, x))],
        ],
      };
    }
    case 'grew': {
      const x = d.count(4);
      const y = d.number(1, 40);
      const [first, second] = d.one([
        ['last year', 'this year'],
        ['in april', 'in june'],
        ['last month', 'this month'],
        ['at first', 'now'],
      ]) as [string, string];
      return d.chance(0.5)
        ? {
            facts: [
              `the ${plant} of ${person.name} was ${x} ${unit.many} tall ${first}`,
              `since then it grew ${y} ${unit.many}`,
            ],
            asks: [[ask(`how tall is the ${plant} now`, plus(x, y))]],
          }
        : {
            facts: [
              `the ${plant} of ${person.name} was ${x} ${unit.many} tall ${first}`,
              `it is ${d.quantity(x.value + y.value)} ${unit.many} tall ${second}`,
            ],
            asks: [
              [ask(`how [much|many ${unit.many}] did the ${plant} grow`, minus(d.quantities.at(-1)!, x))],
            ],
          };
    }
    case 'grows to': {
      const [now, rate, n] = [d.count(3), d.number(2, 12), d.number(2, 15)];
      return {
        facts: [`a ${plant} is ${now} ${unit.many} tall`, `it grows ${rate} ${unit.many} [a|every] year`],
        asks: [
          [ask(`how tall will it be after ${n} years`, plus(now, times(rate, n)))],
          [ask(`how much will it grow in ${n} years`, times(rate, n))],
        ],
      };
    }
    case 'weights': {
      const [a, b] = [d.thing(), d.thing()];
      const [x, y] = [d.count(2), d.count(2)];
      const weight = d.one(['pounds', 'kilograms', 'grams', 'ounces']);
      return {
        facts: [`a ${a.one} weighs ${x} ${weight} and a ${b.one} weighs ${y} ${weight}`],
        asks: [
          [
            ask(`how much heavier is the ${a.one} than the ${b.one}`, minus(x, y)),
            ask(`how much heavier is the ${b.one} than the ${a.one}`, minus(y, x)),
          ],
          [askAll(`how much do both weigh together`, plus(x, y))],
        ],
      };
    }
    case 'heights': {
      const other = d.person();
      const [x, y] = [d.number(30, 200), d.number(2, 25)];
      return d.chance(0.5)
        ? {
            facts: d.shuffled([
              `${person} is ${x} ${unit.many} tall`,
              `${other} is ${y} ${unit.many} [taller|shorter] than ${person}`.replace(
                '[taller|shorter]',
                'taller',
              ),
            ]),
            asks: [[ask(`how tall is ${other}`, plus(x, y))]],
          }
        : {
            facts: d.shuffled([
              `${person} is ${x} ${unit.many} tall`,
              d.one([
                `${other} is ${y} ${unit.many} shorter than ${person}`,
                `${person} is ${y} ${unit.many} taller than ${other}`,
              ]),
            ]),
            asks: [[ask(`how tall is ${other}`, minus(x, y))]],
          };
    }
    case 'durations': {
      const [a, b] = d.some(2, [
        'homework',
        'the dishes',
        'practice',
        'a walk',
        'the garden',
        'a drawing',
        'reading',
        'lunch',
        'a phone call',
        'chess',
      ]) as [string, string];
      const [x, y] = [d.count(3), d.count(3)];
      const z = d.chance(0.3) ? d.count(2) : null;
      return {
        facts: [
          `${person} spent ${x} minutes on ${a} and ${y} minutes on ${b}`,
          ...(z ? [`${person} rested for ${z} minutes`] : []),
        ],
        asks: [
          [
            ask(`how much longer did ${person} spend on ${a} than on ${b}`, minus(x, y)),
            ask(`how much longer did ${person} spend on ${b} than on ${a}`, minus(y, x)),
          ],
          [ask(`how many minutes did ${person} spend on ${a} and ${b} together`, plus(x, y))],
        ],
      };
    }
    case 'until': {
      const start = d.number(1, 7);
      const length = d.between(1, 5);
      const end = d.quantity(start.value + length);
      return {
        facts: [
          d.one([
            `the ${d.one(['film', 'class', 'party', 'match', 'concert', 'lesson'])} of ${person.name} started at ${start} and ended at ${end} o'clock`,
            `${person} worked from ${start} to ${end} o'clock`,
          ]),
        ],
        asks: [
          [ask('how many hours was that', minus(end, start))],
          [ask('how many hours did it last', minus(end, start))],
        ],
      };
    }
    default: {
      const t = d.number(30, 600);
      const x = d.number(5, Math.floor(t.value / 2) - 2);
      const y = d.chance(0.5) ? d.number(4, Math.floor(t.value / 2) - 2) : null;
      const far = world.plural(d.one(FAR));
      const [first, second] = d.periods(2);
      const asks: Ask[][] = [[ask(`how many ${far} are left`, minus(t, x, ...(y ? [y] : [])))]];
      if (y) asks.push([ask(`how many ${far} did ${person.name} cover so far`, plus(x, y))]);
      return {
        facts: [
          `${person} goes on a trip of ${t} ${far}`,
          `${person} covered ${x} ${far} ${first}${y ? ` and ${y} ${far} ${second}` : ''}`,
        ],
        asks,
      };
    }
  }
}
