import {
  ask,
  askAll,
  differences,
  listed,
  minus,
  plus,
  type Ask,
  type Draft,
  type Family,
  type Kind,
  type Quantity,
  type Story,
  type Term,
} from './draft.js';
import * as world from './world.js';

/** The sentences of a story of counts that change. */
interface Voice {
  readonly family: Family;
  readonly starts: (parts: string[]) => string[];
  readonly now: (parts: string[]) => string;
  /** Questions end with these: "how many pears …". */
  readonly atFirst: string;
  readonly atEnd: string;
  readonly events: readonly Event[];
}
/** Something that happened, at most once in a story. */
interface Event {
  readonly sign: 1 | -1;
  readonly told: (parts: string[]) => string;
  /** "how many pears …" */
  readonly clause: string;
  /** "more than …" */
  readonly past: string;
}

function ofPerson(d: Draft, count: number): Voice {
  const someone = d.person();
  const family = d.family(count);
  const { sort } = family;
  const had = d.one(['had', 'had', 'has', 'started with', 'owned', 'began with']);
  const other = d.chance(0.5) ? d.person() : undefined;
  const events: Event[] = [
    ...d.some(2, sort.gains).map((verb): Event => ({
      sign: 1,
      told: (parts) => `~${someone} ${verb.past} ${listed(parts)}`,
      clause: `did ${someone} ${verb.base}`,
      past: `${someone} ${verb.past}`,
    })),
    ...d.some(2, sort.losses).map((verb): Event => ({
      sign: -1,
      told: (parts) => `~${someone} ${verb.past} ${listed(parts)}`,
      clause: `did ${someone} ${verb.base}`,
      past: `${someone} ${verb.past}`,
    })),
  ];
  if (other)
    events.push(
      {
        sign: 1,
        told: (parts) => `~${other} gave ${someone.him} ${listed(parts)}`,
        clause: `did ${other} give to ${someone.him}`,
        past: `${other} gave to ${someone.him}`,
      },
      {
        sign: -1,
        told: (parts) =>
          `~${someone} gave ${d.one([`${listed(parts)} to ${other.him}`, `${other.him} ${listed(parts)}`])}`,
        clause: `did ${someone} give to ${other.him}`,
        past: `${someone} gave to ${other.him}`,
      },
    );
  return {
    family,
    starts: (parts) =>
      parts.length > 1 && d.chance(0.3)
        ? parts.map((part, at) => (at === 0 ? `${someone} ${had} ${part}` : `${someone} also ${had} ${part}`))
        : [
            `${someone} ${had} ${listed(parts)}${had === 'had' && d.chance(0.25) ? d.one([' at first', ' in the beginning', ' to begin with', ` in {0s} ${d.one(sort.containers)}`]) : ''}`,
          ],
    now: (parts) =>
      d.one([
        `now ${someone} has ${listed(parts)}`,
        `${someone} now has ${listed(parts)}`,
        `${someone} has ${listed(parts)} [left|now]`,
      ]),
    atFirst: `did ${someone} have [at first|in the beginning|initially|to begin with|before that]`,
    atEnd: d.one([
      `does ${someone} have [at the end|in the end|after all this|by now]`,
      `does ${someone.name} have [now|left]`,
      `does ${someone} still have`,
      `did ${someone} end up with`,
    ]),
    events,
  };
}

function ofPlace(d: Draft, count: number): Voice {
  const where = d.one(world.PLACES);
  const family = d.family(count);
  const person = d.chance(0.4) ? d.person() : undefined;
  const took = (past: string, base: string, sign: 1 | -1, suffix: string): Event =>
    person
      ? {
          sign,
          told: (parts) => `~${person} ${past} ${listed(parts)} ${suffix}`,
          clause: `did ${person} ${base} ${suffix}`,
          past: `${person} ${past} ${suffix}`,
        }
      : {
          sign,
          told: (parts) =>
            `~${listed(parts)} were ${sign > 0 ? d.one(['added', 'delivered', 'put there']) : d.one(['taken out', 'sold', 'used', 'removed'])}`,
          clause: sign > 0 ? 'were added' : 'were removed',
          past: sign > 0 ? 'were added' : 'were removed',
        };
  return {
    family,
    starts: (parts) => [
      d.one([
        `there [were|are] ${listed(parts)} ${where}`,
        `${where} there were ${listed(parts)}`,
        `${listed(parts)} were ${where}`,
      ]),
    ],
    now: (parts) =>
      d.one([
        `now there are ${listed(parts)} ${where}`,
        `there are now ${listed(parts)} ${where}`,
        `${listed(parts)} are left ${where}`,
      ]),
    atFirst: `were ${where} [at first|in the beginning|before|initially]`,
    atEnd: d.one([
      `are there ${where} now`,
      `are ${where} now`,
      `are now ${where}`,
      `are left ${where}`,
      `are still ${where}`,
    ]),
    events: d.some(2, [
      took('put', 'put', 1, 'there'),
      took('added', 'add', 1, 'to them'),
      took('took', 'take', -1, 'from there'),
      took('removed', 'remove', -1, 'from there'),
    ]),
  };
}

function ofCrowd(d: Draft, count: number): Voice {
  const where = d.one(world.GATHERINGS);
  const family = d.crowd(count);
  const rides = /bus|train|tram|ferry/.test(where);
  const event = (sign: 1 | -1, told: string): Event => ({
    sign,
    told: (parts) => `~${listed(parts)} ${told}`,
    clause: told,
    past: told,
  });
  return {
    family,
    starts: (parts) => [
      d.one([
        `there [were|are] ${listed(parts)} ${where}`,
        `${listed(parts)} were ${where}`,
        `${where} there were ${listed(parts)}`,
      ]),
    ],
    now: (parts) =>
      d.one([
        `now there are ${listed(parts)} ${where}`,
        `there were then ${listed(parts)} ${where}`,
        `${listed(parts)} are ${where} now`,
      ]),
    atFirst: `were ${where} [at first|in the beginning|before that|at the start]`,
    atEnd: d.one([`are ${where} now`, `are now ${where}`, `were then ${where}`]),
    events: rides
      ? [event(1, 'got on'), event(-1, 'got off')]
      : d.some(2, [
          event(1, 'joined them'),
          event(1, 'came in later'),
          event(1, 'arrived'),
          event(-1, 'went home'),
          event(-1, 'left early'),
          event(-1, 'went away'),
        ]),
  };
}

/** One to three counts, and what changed them: any number may be the unknown one, and anything may be asked. */
export function ledger(d: Draft): Story {
  const count = d.one([1, 1, 1, 2, 2, 3]);
  const voice = d.one([ofPerson, ofPerson, ofPerson, ofPlace, ofCrowd])(d, count);
  const { kinds } = voice.family;
  const rounds = d.shuffled(voice.events).slice(0, d.one([1, 1, 2, 2]));
  const large = Math.max(10, d.scale);

  interface Change {
    readonly round: number;
    readonly value: number;
    quantity: Quantity | null;
  }
  const counts = kinds.map(() => ({
    start: d.between(Math.ceil(large / 4) + 2, large),
    changes: [] as Change[],
  }));
  const level = counts.map(({ start }) => start);
  rounds.forEach(({ sign }, round) => {
    const both = count > 1 && d.chance(0.4);
    const hit = both ? kinds.map((_, k) => k) : [d.below(count)];
    for (const k of hit.slice(0, 2)) {
      const high = sign > 0 ? Math.ceil(large / 2) : level[k]! - 1;
      if (high < 1) continue;
      const value = d.between(Math.min(2, high), high);
      level[k]! += sign * value;
      counts[k]!.changes.push({ round, value, quantity: null });
    }
  });

  // Of a kind, the start or one change is unknown; the text then says the end.
  const unknown = counts.map(({ changes }) =>
    changes.length > 0 && d.chance(0.3) ? d.below(changes.length + 1) : -1,
  );
  const starts = counts.map(({ start }, k) => (unknown[k] === 0 ? null : d.quantity(start)));
  counts.forEach(({ changes }, k) =>
    changes.forEach((change, at) => {
      if (unknown[k] !== at + 1) change.quantity = d.quantity(change.value);
    }),
  );
  const ends = level.map((value, k) => (unknown[k]! >= 0 ? d.quantity(value) : null));

  const amount = (quantity: Quantity | null, kind: Kind, how = ''): string =>
    `${quantity ?? 'some'}${how} ${kind.many}`;
  const facts = voice.starts(kinds.map((kind, k) => amount(starts[k]!, kind)));
  rounds.forEach(({ sign, told }, round) => {
    const parts = kinds.flatMap((kind, k) => {
      const change = counts[k]!.changes.find((one) => one.round === round);
      if (!change) return [];
      const short =
        count === 1 && sign < 0 && change.quantity && d.chance(0.35)
          ? `${change.quantity} ${d.one(['of these', 'of them all', 'of those'])}`
          : '';
      return [
        short ||
          amount(
            change.quantity,
            kind,
            sign > 0 ? d.one([' more', ' more', ' new', '']) : d.one(['', '', ' of the']),
          ),
      ];
    });
    if (parts.length > 0) facts.push(told(parts));
  });
  const known = kinds.flatMap((kind, k) => (ends[k] ? [amount(ends[k], kind)] : []));
  if (known.length > 0) facts.push(voice.now(known));

  const signOf = (change: Change): 1 | -1 => rounds[change.round]!.sign;
  const applied = (from: Term, changes: readonly Change[], direction: 1 | -1): Term => {
    let term = from;
    for (const change of changes) {
      const grows = signOf(change) * direction > 0;
      term = grows ? plus(term, change.quantity!) : minus(term, change.quantity!);
    }
    return term;
  };
  const first = counts.map(({ changes }, k) => starts[k] ?? applied(ends[k]!, changes, -1));
  const last = counts.map(({ changes }, k) => ends[k] ?? applied(starts[k]!, changes, 1));
  const changed = (k: number, change: Change): Term => {
    if (change.quantity) return change.quantity;
    const before = applied(
      starts[k]!,
      counts[k]!.changes.filter((one) => one !== change),
      1,
    );
    return signOf(change) > 0 ? minus(ends[k]!, before) : minus(before, ends[k]!);
  };

  const asks: Ask[][] = [];
  const end: Ask[] = kinds.map((kind, k) => ask(`how many ${kind.many} ${voice.atEnd}`, last[k]!));
  const start: Ask[] = kinds.map((kind, k) => ask(`how many ${kind.many} ${voice.atFirst}`, first[k]!));
  // What is unknown is asked most of the time.
  const solved: Ask[] = counts.flatMap(({ changes }, k) => [
    ...changes
      .filter(({ quantity }) => !quantity)
      .map((change) => ask(`how many ${kinds[k]!.many} ${rounds[change.round]!.clause}`, changed(k, change))),
    ...(starts[k] ? [] : [start[k]!]),
  ]);
  asks.push(end.filter((_, k) => !ends[k] && counts[k]!.changes.length > 0));
  asks.push(solved, solved, solved);
  asks.push(differences(d, kinds, last, voice.atEnd));
  if (d.chance(0.4)) asks.push(differences(d, kinds, first, voice.atFirst));
  if (count > 1)
    asks.push([
      askAll(`how many ${voice.family.all} ${voice.atEnd} [in all|altogether|in total]`, plus(...last)),
    ]);
  const moves = counts.flatMap(({ changes }, k) =>
    changes.map((change) => ({ k, change, term: changed(k, change), event: rounds[change.round]! })),
  );
  asks.push(
    moves.flatMap((a) =>
      moves
        .filter((b) => b !== a && (a.k === b.k || a.change.round === b.change.round))
        .map((b) =>
          a.k === b.k
            ? ask(
                `how many more ${kinds[a.k]!.many} ${a.event.clause} than ${d.one(['', '', 'those that '])}${b.event.past}`,
                minus(a.term, b.term),
              )
            : ask(
                `how many more ${kinds[a.k]!.many} than ${kinds[b.k]!.many} ${a.event.clause}`,
                minus(a.term, b.term),
              ),
        ),
    ),
  );
  // How much a count changed: from its start and end, or from the changes alone.
  const net = counts.flatMap(({ changes }, k): Ask[] => {
    const how = (word: string): string =>
      `how many ${word} ${kinds[k]!.many} ${voice.atEnd} than [at first|before|in the beginning]`;
    if (ends[k] && starts[k]) {
      const [from, to] = [starts[k], ends[k]];
      return [ask(how('more'), minus(to, from)), ask(how('fewer'), minus(from, to))];
    }
    if (changes.length !== 2 || !changes[0]!.quantity || !changes[1]!.quantity) return [];
    const [gains, losses] = [1, -1].map((sign) =>
      changes.filter((change) => signOf(change) === sign).map(({ quantity }) => quantity!),
    );
    if (gains!.length === 2) return [ask(how('more'), plus(...gains!))];
    if (losses!.length === 2) return [ask(how('fewer'), plus(...losses!))];
    return [
      ask(how('more'), minus(gains![0]!, losses![0]!)),
      ask(how('fewer'), minus(losses![0]!, gains![0]!)),
    ];
  });
  asks.push(net);
  return { facts, asks };
}
