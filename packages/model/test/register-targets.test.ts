import { describe, expect, it } from '@jest/globals';
import { completePrefix, parse, type Expr } from '@dag/expr';
import {
  absentDigit,
  createRegisterTargets,
  ModelError,
  operatorClasses,
  operatorCount,
  readInfix,
  slotCount,
  writeRegisterTargets,
  type RegisterLayout,
} from '../src/index.js';

const layout: RegisterLayout = { depth: 4, digits: 4 };
const K = operatorCount(layout);
const S = slotCount(layout);

/** The targets of a prefix, written as row 1 of 2; null where registers cannot hold it. */
function targetsOf(prefix: string) {
  const complete = completePrefix(prefix);
  if (complete === null) throw new Error(`'${prefix}' is no begin of an expression`);
  const targets = createRegisterTargets(2, layout);
  const untouched = createRegisterTargets(2, layout);
  const held = writeRegisterTargets(targets, 1, prefix, parse(complete), layout);
  for (const [name, array] of Object.entries(targets)) {
    const empty: ArrayLike<number> = untouched[name as keyof typeof untouched];
    const half = array.length / 2;
    expect([name, Array.from(array.slice(0, half))]).toEqual([name, Array.from(empty).slice(0, half)]);
    if (!held) expect([name, Array.from(array)]).toEqual([name, Array.from(empty)]);
  }
  if (!held) return null;
  const row = (array: Uint8Array | Int8Array): number[] => Array.from(array.slice(array.length / 2));
  const { digits, length, negative, begun, operators, above, count } = targets;
  const ofSlots = Array.from({ length: S }, (_, s) => {
    const written = row(digits).slice(s * layout.digits, (s + 1) * layout.digits);
    if (!row(begun)[s]) {
      expect(written).toEqual(Array(layout.digits).fill(absentDigit));
      return null;
    }
    const text = written.filter((d) => d !== absentDigit).join('');
    const point = row(length)[s]!;
    return `${row(negative)[s] ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}`;
  });
  return {
    /** The number in each slot with its point; null where it holds none. Empty slots at the end left out. */
    slots: ofSlots.slice(0, ofSlots.findLastIndex((slot) => slot !== null) + 1),
    operators: row(operators).map((c) => (c === -1 ? 'any' : operatorClasses[c]!)),
    /** Pairs [k, j] where operator k stands above operator j. */
    above: row(above).flatMap((v, i) => (v ? [[Math.floor(i / K), i % K]] : [])),
    count: row(count)[0],
  };
}

const padded = (...operators: string[]): string[] => [
  ...operators,
  ...Array<string>(K - operators.length).fill('absent'),
];

describe('numbers', () => {
  it.each<[prefix: string, slots: (string | null)[]]>([
    ['7', ['7.']],
    ['12', ['12.']],
    ['2.', ['2.']],
    ['2.5', ['2.5']],
    ['2.50', ['2.50']],
    ['007', ['007.']],
    ['.5', ['.5']],
    ['0.05', ['0.05']],
    ['-3', ['-3.']],
    ['-0', ['-0.']],
    ['-0.0', ['-0.0']],
    ['2 * -3.5', ['2.', '-3.5']],
    ['2 - 3', ['2.', '3.']],
    ['2 - -3', ['2.', '-3.']],
    ['(-3', ['-3.']],
    ['1 + (2 - (3', ['1.', '2.', '3.']],
    ['12.34', ['12.34']],
  ])('of %j stand in their slots with all their digits, signs apart', (prefix, slots) => {
    expect(targetsOf(prefix)!.slots).toEqual(slots);
  });
});

describe('operators', () => {
  it.each<[prefix: string, operators: string[]]>([
    ['7', padded()],
    ['1 + 2', padded('+')],
    ['1 - 2 * 3', padded('-', '*')],
    ['1 / 2 / 3', padded('/', '/')],
    ['1 + 2)', padded('+')],
    ['-7 + 2', padded('+')],
  ])('of %j have their classes, and signs are none of them', (prefix, operators) => {
    expect(targetsOf(prefix.replace(')', ''))!.operators).toEqual(operators);
  });

  it.each<[prefix: string, operators: string[], count: number]>([
    // Neither the operator nor a minus of a group after it is sure before a number follows.
    ['2 +', ['any', 'any', 'absent', 'absent'], -1],
    ['2 + ', ['any', 'any', 'absent', 'absent'], -1],
    ['2 -', ['any', 'any', 'absent', 'absent'], -1],
    ['2 * -', ['any', 'any', 'absent', 'absent'], -1],
    ['2 * (', ['any', 'any', 'absent', 'absent'], -1],
    ['2 * -(', ['any', 'any', 'absent', 'absent'], -1],
    ['2 + 3 *', ['+', 'any', 'any', 'absent'], -1],
    ['1 + 2 + 3 + 4 -', ['+', '+', '+', 'any'], -1],
    ['2 + 3', padded('+'), 1],
    ['2 + 3 ', padded('+'), 1],
    ['(2 + 3)', padded('+'), 1],
  ])('of %j at its end are not known yet', (prefix, operators, count) => {
    const targets = targetsOf(prefix)!;
    expect({ operators: targets.operators, count: targets.count }).toEqual({ operators, count });
  });

  it('are counted', () => {
    expect(['7', '-7', '7 * -2', '1 + 2 * 3', '-(1 + 2'].map((prefix) => targetsOf(prefix)!.count)).toEqual([
      0, 0, 1, 2, 2,
    ]);
  });
});

describe('a minus before a group', () => {
  it.each<[prefix: string, slots: (string | null)[], operators: string[]]>([
    ['-(1 + 2)', [null, '1.', '2.'], padded('negate', '+')],
    ['-(1 + 2', [null, '1.', '2.'], padded('negate', '+')],
    // Whatever follows, what the minus wrote stays: it is an operator from the first number on.
    ['-(1', [null, '1.'], padded('negate')],
    ['-(-1', [null, '-1.'], padded('negate')],
    ['3 * -(1 + 2)', ['3.', null, '1.', '2.'], padded('*', 'negate', '+')],
    ['3 - -(1', ['3.', null, '1.'], padded('-', 'negate')],
    ['-(-(1 + 2)', [null, null, '1.', '2.'], padded('negate', 'negate', '+')],
    ['-(1 +', [null, '1.'], ['negate', 'any', 'any', 'absent']],
    // A minus between a number and a group is a subtraction.
    ['3 - (1 + 2)', ['3.', '1.', '2.'], padded('-', '+')],
  ])('in %j is an operator of its own with an empty slot before it', (prefix, slots, operators) => {
    expect(targetsOf(prefix)).toMatchObject({ slots, operators });
  });

  it('stands above what is in the group', () => {
    expect(targetsOf('-(1 + 2) * 3')!.above).toEqual([
      [0, 1],
      [2, 0],
      [2, 1],
    ]);
    expect(targetsOf('-(1 + 2')!.above).toEqual([[0, 1]]);
  });
});

describe('precedence', () => {
  it.each<[prefix: string, above: number[][]]>([
    ['1 + 2', []],
    ['1 + 2 * 3', [[0, 1]]],
    ['1 * 2 + 3', [[1, 0]]],
    ['1 - 2 - 3', [[1, 0]]],
    ['1 - (2 - 3)', [[0, 1]]],
    ['(1 + 2) * 3', [[1, 0]]],
    [
      '1 * 2 + 3 * 4',
      [
        [1, 0],
        [1, 2],
      ],
    ],
    ['(1 + 2', []],
    // Of operators in different branches neither stands above the other.
    [
      '(1 + 2) / (3 - 4)',
      [
        [1, 0],
        [1, 2],
      ],
    ],
  ])('of %j is whom each operator stands above', (prefix, above) => {
    expect(targetsOf(prefix)!.above).toEqual(above);
  });
});

describe('targets', () => {
  const expr = parse('1 + 2');

  it('are written to no row that is not there, and to no arrays of another layout', () => {
    const targets = createRegisterTargets(2, layout);
    for (const index of [-1, 2, 0.5])
      expect(() => writeRegisterTargets(targets, index, '1 + 2', expr, layout)).toThrow(/one of 2 tokens/);
    const other = { ...layout, digits: 3 };
    expect(() => writeRegisterTargets(targets, 0, '1 + 2', expr, other)).toThrow(
      /digits of the targets as a Uint8Array of 30 numbers/,
    );
    expect(targets).toEqual(createRegisterTargets(2, layout));
  });

  it('of an expression that holds itself are none', () => {
    const cyclic: { type: 'Add'; args: Expr[] } = { type: 'Add', args: [expr, expr] };
    cyclic.args[0] = cyclic;
    expect(readInfix(cyclic)).toBeNull();
  });

  it.each([
    null,
    { type: 'Add', args: new Array(2) },
    { type: 'Num', value: '1' },
    { type: 'add', args: [] },
  ])('are none of %j, which is no expression', (wrong) => {
    expect(() => readInfix(wrong as never)).toThrow(ModelError);
  });
});

describe('what registers cannot hold', () => {
  it.each([
    ['a number of too many digits', '12345'],
    ['a number of too many digits with its decimals', '12.345'],
    ['and so in a later number', '1 + 12345'],
    ['an exponent', '1e3'],
    ['a variable', 'x + 1'],
    ['a power', '2 ^ -1'],
    ['too many operators', '1 + 2 + 3 + 4 + 5 + 6'],
    ['too many operators with those of groups', '-(-(-(1 + 2 * 3'],
  ])('is refused, and the row left empty: %s', (_, prefix) => {
    expect(targetsOf(prefix)).toBeNull();
  });
});
