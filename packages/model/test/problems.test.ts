import { describe, expect, it } from '@jest/globals';
import { execute } from '@dag/executor';
import fc from 'fast-check';
import { ModelError } from '../src/error.js';
import {
  keyOf,
  libraryOf,
  ProblemModel,
  ProblemVocabulary,
  problemWords,
  readEquation,
  readProblem,
  stepsOf,
  valueOf,
  type ProblemConfig,
} from '../src/problems.js';
import { NO_FIT, validShares, weighed } from '../src/problems/evidence.js';
import { planTensors } from '../src/problems/plan-tensors.js';
import { RELATIONS, relations } from '../src/problems/relations.js';

/** An equation in prefix form over three numbers, with what it computes. */
interface Equation {
  readonly tokens: readonly string[];
  readonly value: (numbers: readonly number[]) => number;
}
const number = fc.nat(2).map((i): Equation => ({ tokens: [`number${i}`], value: (x) => x[i]! }));
const constant = fc.constantFrom(0.5, 2, 7).map((c): Equation => ({ tokens: [String(c)], value: () => c }));
const equation = fc.letrec<{ any: Equation }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    fc.oneof({ arbitrary: number, weight: 3 }, constant),
    fc.tuple(fc.constantFrom('+', '-', '*', '/'), tie('any'), tie('any')).map(([operator, a, b]) => ({
      tokens: [operator, ...a.tokens, ...b.tokens],
      value: (x: readonly number[]) => {
        const [left, right] = [a.value(x), b.value(x)];
        if (operator === '+') return left + right;
        if (operator === '-') return left - right;
        return operator === '*' ? left * right : left / right;
      },
    })),
  ),
})).any;

const isNear = (a: number, b: number): boolean =>
  Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
const NUMBERS = [3.7, 11.3, 0.9];

const term = (text: string) => readEquation(text.split(' '));

describe('equations of word problems', () => {
  it('compute in steps what they say', () => {
    fc.assert(
      fc.property(equation, ({ tokens, value }) => {
        const expected = value(NUMBERS);
        fc.pre(Number.isFinite(expected) && Math.abs(expected) < 1e6);
        const read = readEquation(tokens);
        // What cancels leaves no step.
        fc.pre(!/\(\)/.test(keyOf(read)));
        expect(isNear(valueOf(stepsOf(read), NUMBERS), expected)).toBe(true);
      }),
    );
  });

  it.each([
    ['+ number0 number1', '+ number1 number0'],
    ['- + number0 number1 number2', '+ number0 - number1 number2'],
    ['/ number0 / number1 number2', '* number0 / number2 number1'],
  ])('%s is %s', (a, b) => expect(keyOf(term(a))).toBe(keyOf(term(b))));

  it.each(['', '+ number0', 'number0 number1', '+ number0 apples', '^ number0 2'])('%p is none', (text) => {
    expect(() => term(text)).toThrow(ModelError);
  });

  it('make tensors that execute to their value', () => {
    fc.assert(
      fc.property(equation, ({ tokens }) => {
        const steps = stepsOf(readEquation(tokens));
        const value = valueOf(steps, NUMBERS);
        fc.pre(Number.isFinite(value) && steps.every(({ terms }) => terms.length > 0));
        expect(isNear(execute(planTensors(steps, NUMBERS))[0]!, value)).toBe(true);
      }),
    );
  });
});

const EQUATIONS = [
  '- number0 number1',
  '+ number0 number1',
  '* number0 number1',
  '- + number0 number1 number2',
];
const library = libraryOf([...EQUATIONS, ...EQUATIONS, '* 7 number0', '* 7 number0'].map(term), 3);

describe('the library of plans', () => {
  it('has every choice of numbers once', () => {
    const keys = library.plans(3).keys;
    expect(new Set(keys).size).toBe(keys.length);
    // Differences 6, sums 3, products 3, of three 3, weeks 3.
    expect(keys).toHaveLength(18);
    for (const text of ['- number2 number0', '- + number0 number2 number1', '* number1 7'])
      expect(keys).toContain(keyOf(term(text)));
    expect(library.constants).toEqual([7]);
  });

  it('has the features of its steps, the last one in the last row', () => {
    const n = 2;
    const { keys, features } = library.plans(n);
    const k = keys.indexOf(keyOf(term('- number1 number0')));
    const [F, M, D] = [library.width(n), library.operands(n), 3];
    const on = [...features.subarray(k * F, (k + 1) * F)].flatMap((x, i) => (x === 1 ? [i] : []));
    expect(on).toEqual([2 * M + 1, D * M + 2 * M, 2 * D * M + D + 2]);
  });
});

describe('texts of problems', () => {
  it('have their numbers found', () => {
    const text = "Mia's shop sold 1,200 pears at $0.25 each, and .5 of 12 kg. How many?";
    const { numbers, places, text: read } = readProblem(text);
    expect(numbers).toEqual([1200, 0.25, 0.5, 12]);
    expect(places.map(([begin, end]) => text.slice(begin, end))).toEqual(['1,200', '0.25', '.5', '12']);
    expect(read).toBe(
      "mia 's shop sold number0 pears at $ number1 each , and number2 of number3 kg . how many ?",
    );
  });

  it.each([
    ['It was -5 degrees and fell by −3.', [-5, -3]],
    ['10-5, 10 - 5, (-4), $5 -$3, x-5', [10, 5, 10, 5, -4, 5, 3, 5]],
    ['5kg, 12cm, 7pm and 60km/h, not the 3rd of 12B', [5, 12, 7, 60]],
    ['from 7:30 to 12:45pm, in 3 rooms of 2:1, 9:5 and 4: 30', [3, 2, 1, 9, 5, 4, 30]],
  ])('have signs and units: %s', (text, wanted) => {
    const { numbers, places } = readProblem(text);
    expect(numbers).toEqual(wanted);
    places.forEach(([begin, end], i) =>
      expect(Number(text.slice(begin, end).replace('−', '-'))).toBe(numbers[i]),
    );
  });

  it('have words without plural endings', () => {
    const stems = (text: string): string[] =>
      problemWords(text).map(({ stem, isPlural }) => stem + (isPlural ? '+' : ''));
    expect(stems('boxes berries glasses glass bus pears number0 this')).toEqual(
      'box+ berry+ glass+ glass bus pear+ number0 this'.split(' '),
    );
  });

  it('have places: facts, what the question names, the question, and what follows the text', () => {
    const { places } = new ProblemVocabulary(['pear', 'how']).encode(
      problemWords('number0 pears and number1 plums . how many pears ?'),
      2,
    );
    expect(places.join('')).toBe('0100002222333');
  });

  it('relate tokens to the same ones, to what is near and to the question', () => {
    // a b . a, the last one a question
    const T = 4;
    const related = relations(Int32Array.of(5, 6, 7, 5), Int32Array.of(1, 0, 0, 2), [1, T], [7]);
    const at = (i: number, r: number, j: number): number => related[(i * RELATIONS + r) * T + j]!;
    expect([at(3, 0, 0), at(3, 0, 1), at(3, 2, 1), at(3, 1, 0), at(0, 0, 3)]).toEqual([1, 0, 1, 0, 1]);
    expect([at(3, 5, 1), at(1, 5, 3)]).toEqual([-2 / 8, -2 / 8]);
    // The sentence of the last token begins behind the stop.
    expect([0, 1, 2, 3].map((j) => at(3, 6, j))).toEqual([0, 0, 0, 1]);
    expect([0, 1, 2, 3].map((j) => at(1, 7, j))).toEqual([0, 0, 1, 1]);
    expect([0, 1, 2, 3].map((j) => at(1, 8, j))).toEqual([0, 0, 0, 1]);
  });
});

describe('number evidence', () => {
  it('prefers values that answers have', () => {
    const numbers = [5, 12];
    const { keys, size } = library.plans(2);
    const values = library.values(numbers);
    const shares = validShares(library, 2);
    const even = new Float64Array(size).fill(-Math.log(size));
    const [first] = weighed(even, { values, shares, numbers }, NO_FIT);
    // Of equally probable plans the one whose value is valid least often: 5 − 12 is not, 12 − 5 is by chance.
    expect(first!.value).toBe(7);
    expect(keys).toContain(keyOf(term('- number1 number0')));
  });

  it('adds the probabilities of equal values', () => {
    const numbers = [2, 2];
    const values = library.values(numbers);
    const shares = new Float64Array(values.length).fill(1);
    const [first] = weighed(new Float64Array(values.length), { values, shares, numbers }, NO_FIT);
    // 2 + 2 and 2 · 2; both differences are 0, and two are weeks of 14 days.
    expect([4, 14]).toContain(first!.value);
    expect(first!.probability).toBeGreaterThan(0.49);
  });
});

const CONFIG: ProblemConfig = {
  ...{ members: 2, nLayer: 2, nHead: 2, nEmbd: 8, nInner: 16, convolution: 3, depth: 3, dropout: 0.1 },
  words: ['have', 'pear', 'how', 'many', '.', '?'],
  constants: library.constants,
  templates: library.templates,
};

describe('a model of word problems', () => {
  const text = 'Ada has 5 pears. Bo has 12 pears, and a bus of 3 seats. How many pears in all?';

  it('answers with a plan over the numbers of the text', () => {
    const solved = new ProblemModel(CONFIG, { seed: 3 }).predict(text);
    expect(execute(solved.tensors)[0]).toBeCloseTo(solved.value, 9);
    expect(solved.numbers.map(({ value }) => value)).toEqual([5, 12, 3]);
    for (const { value, begin, end, isUsed } of solved.numbers) {
      expect(text.slice(begin, end)).toBe(String(value));
      expect(isUsed).toBe(solved.expression.includes(String(value)));
    }
    expect(solved.confidence).toBeGreaterThan(0);
    expect(solved.confidence).toBeLessThanOrEqual(1);
  });

  it('is the same after it was saved', () => {
    const model = new ProblemModel(CONFIG, { seed: 3 });
    expect(ProblemModel.load(model.save()).predict(text)).toEqual(model.predict(text));
  });

  it('reads a problem by itself as among others', () => {
    const model = new ProblemModel(CONFIG, { seed: 3 });
    const asked = [text, 'How many pears have 7 and 8 and 9 ?'].map((one) => {
      const { text: read, numbers } = readProblem(one);
      return { words: problemWords(read), numbers };
    });
    const [first] = model.solve(asked);
    const [alone] = model.solve(asked.slice(0, 1));
    expect(first!.raw).toBe(alone!.raw);
    expect(first!.confidence).toBeCloseTo(alone!.confidence, 5);
  });

  it.each([
    ['no number at all', 'the text has no number in digits'],
    ['1 2 3 4 5 6 7 8 9', 'the text has 9 numbers, and this model reads up to 8'],
  ])('refuses %p', (asked, reason) => {
    expect(() => new ProblemModel(CONFIG).predict(asked)).toThrow(
      expect.objectContaining({ code: 'unreadable', message: reason }),
    );
  });

  it('refuses a number beyond doubles, and more words than it has memory for', () => {
    const model = new ProblemModel(CONFIG);
    const refused = (message: string) => expect.objectContaining({ code: 'unreadable', message });
    expect(() => model.predict(`${'9'.repeat(400)} pears`)).toThrow(
      refused('the text has a number beyond the largest double'),
    );
    expect(() => model.predict(`5 pears ${'and '.repeat(100_000)}`)).toThrow(
      refused('the text has 100002 words and signs, and this model reads up to 500'),
    );
  });

  it('refuses what is no text', () => {
    expect(() => new ProblemModel(CONFIG).predict(7 as never)).toThrow(ModelError);
    expect(() => readProblem(7 as never)).toThrow(ModelError);
    expect(() => problemWords(undefined as never)).toThrow(ModelError);
  });

  it('refuses texts of as many numbers as none of its plans has', () => {
    const templates = [{ equation: '+ number0 number1', count: 1 }];
    const model = new ProblemModel({ ...CONFIG, templates });
    expect(() => model.predict('How many are 5 pears?')).toThrow('this model has no plan of 1 number');
  });

  it('solves no problem where it is given none, and refuses what is no problem', () => {
    const model = new ProblemModel(CONFIG);
    const problem = (...numbers: number[]) => ({ words: problemWords('how many pear'), numbers });
    expect(model.solve([])).toEqual([]);
    for (const wrong of [undefined, [null], [{ numbers: [1] }], [problem(1), problem(1, 2)]])
      expect(() => model.solve(wrong as never)).toThrow(expect.objectContaining({ code: 'bad-input' }));
    for (const wrong of [problem(), problem(NaN), problem(1, 2, 3, 4, 5, 6, 7, 8, 9)])
      expect(() => model.solve([wrong])).toThrow(expect.objectContaining({ code: 'unreadable' }));
  });

  it.each([
    undefined,
    {},
    { ...CONFIG, members: 0 },
    { ...CONFIG, nHead: 3 },
    { ...CONFIG, dropout: 1 },
    { ...CONFIG, words: 'have' },
    { ...CONFIG, constants: [NaN] },
    { ...CONFIG, constants: [] },
    { ...CONFIG, depth: 1, templates: [{ equation: '* + number0 number1 number2', count: 1 }] },
    { ...CONFIG, templates: undefined },
    { ...CONFIG, templates: [{}] },
    { ...CONFIG, templates: [null] },
    { ...CONFIG, evidence: { temperature: 0, rarity: 1 } },
  ])('refuses the configuration %j', (config) => {
    expect(() => new ProblemModel(config as never)).toThrow(expect.objectContaining({ code: 'bad-config' }));
  });
});
