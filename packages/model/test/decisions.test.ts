import { describe, expect, it } from '@jest/globals';
import {
  add,
  execute,
  gradCheck,
  mul,
  scope,
  split,
  sum,
  tensor,
  type DagTensorFields,
  type Tensor,
} from '@dag/executor';
import { evaluate, fromText, generateText, parse, randomStream } from '@dag/expr';
import { tensorize, type DagTensors } from '@dag/tensorize';
import { generateFrame } from '../../train/src/reading/frames.js';
import type { Word } from '../../train/src/reading/writer.js';
import { tokenFeatures, tokenizer, type Targets } from '../src/index.js';
import { ParameterBuilder } from '../src/gpt.js';
import { FAULTS } from '../src/plan-predictor/decided-plan.js';
import { decisionsReadout, softRegisters } from '../src/plan-predictor/decisions-readout.js';
import { PlanPredictor } from '../src/plan-predictor/plan-predictor.js';
import { DECISIONS, decisionOf, NESTING, THEN } from '../src/reading/decisions.js';
import { decidedValue, type Label } from './decided-value.js';

const gpt2 = tokenizer('gpt2');
const WIDTH = DECISIONS.length + NESTING.length + 2;
const FIELDS = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** Tokens of words; the last one of each word decides, and the first one of a number. */
const labelsOf = (words: readonly Word[]): Label[] =>
  words.flatMap(({ text, decision, nesting, complete }) =>
    gpt2.encode(` ${text}`).map((id, i, ids) => {
      const isLast = i === ids.length - 1;
      const decides = /^\d/.test(text) ? i === 0 : isLast;
      return {
        record: gpt2.record(id),
        decision: decides ? decisionOf(decision ?? 'none') : 0,
        nesting: !decides ? 0 : nesting === 'then' ? THEN : nesting,
        complete: isLast && complete === true,
      };
    }),
  );

const SYMBOLS: Readonly<Record<string, string>> = {
  ...{ '+': 'add', '-': 'sub', '*': 'mul', '/': 'div', '^': 'pow', sqrt: 'sqrt', cbrt: 'cbrt' },
  '%': 'percent',
};
const NESTS: Readonly<Record<string, number>> = { '(': 1, ')': -1 };

/** Words of an expression in symbols, with what they decide. */
function symbolLabels(text: string): Label[] {
  const parts = text.match(/\d+\.?\d*|[a-z]+|\S/g)!;
  let isOperand = false;
  const words = parts.map((part, i): Word => {
    let decision = SYMBOLS[part] ?? 'none';
    if (decision === 'sub' && !isOperand) decision = 'neg';
    if (decision === 'percent' && parts[i - 1] === ')') decision = 'percentOf';
    isOperand = /[\d)%]$/.test(part);
    return { text: part, decision, nesting: NESTS[part] ?? 0, complete: isOperand };
  });
  return labelsOf(words);
}

/** Hidden states that are the logits of the labels. */
function logitsOf(labels: readonly Label[], certainty = 60): Float32Array {
  const rows = new Float32Array(labels.length * WIDTH);
  labels.forEach(({ decision, nesting, complete }, t) => {
    rows[t * WIDTH + decision] = certainty;
    rows[t * WIDTH + DECISIONS.length + NESTING.indexOf(nesting)] = certainty;
    rows[(t + 1) * WIDTH - 2 + Number(complete)] = certainty;
  });
  return rows;
}
const hiddenOf = (labels: readonly Label[]): Tensor => tensor(logitsOf(labels), [1, labels.length, WIDTH]);

/** Its hidden states are the logits themselves. */
function predictor(depth: number, digits: number): PlanPredictor {
  const build = new ParameterBuilder(null);
  const made = new PlanPredictor({ depth, digits, readout: 'decisions' }, WIDTH, build);
  const identity = Float32Array.from({ length: WIDTH ** 2 }, (_, i) => Number(i % (WIDTH + 1) === 0));
  build.parameters.get('plan.decide.weight')!.set(identity);
  build.parameters.get('plan.decide.bias')!.set(new Float32Array(WIDTH));
  return made;
}

const recordsOf = (labels: readonly Label[]) => labels.map(({ record }) => record);
const data = (x: Tensor): Float64Array => Float64Array.from(x.dataSync());
const graphs = (plan: DagTensorFields, depth: number): DagTensors => ({
  ...{ depth, size: plan.G.size / depth, V_mag: data(plan.V_mag), V_sign: data(plan.V_sign) },
  ...{ O: data(plan.O), G: data(plan.G) },
});

interface Read extends DagTensors {
  readonly value: number;
  readonly fault: number;
  readonly complete: number;
}

/** The hard plan of the whole text. */
function read(planner: PlanPredictor, labels: readonly Label[]): Read {
  return scope(() => {
    const plan = planner.hardPlan(hiddenOf(labels), recordsOf(labels), { at: [labels.length - 1] });
    const graph = graphs(plan, planner.config.depth);
    return {
      ...{ ...graph, value: execute(graph)[0]! },
      ...{ fault: plan.fault!.item(), complete: plan.complete!.item() },
    };
  });
}

/** Chains are one step, which divides last: they may differ from operations one by one in the last bits. */
const isNear = (a: number, b: number): boolean =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-12 * Math.abs(b);

const shown = (labels: readonly Label[]): string =>
  labels
    .map(({ record, decision, nesting }) =>
      [record.digits.join('') || (record.point ? '.' : '_'), DECISIONS[decision], nesting].join(':'),
    )
    .join(' ');

describe('the hard plan of decisions', () => {
  it('is the plan that tensorize makes of an expression in symbols', () => {
    const planner = predictor(12, 30);
    for (let index = 0; index < 200; index++) {
      const text = generateText({
        ...{ seed: 3, index, depth: 8, maxDigits: 12, maxDecimals: 12, style: 'spaced', negatedGroups: 0.3 },
      });
      const { value, fault, complete, ...plan } = read(planner, symbolLabels(text));
      expect([text, fault, complete]).toEqual([text, 0, 1]);
      // A minus of a minus is a step here, and a number there.
      if (/-\s*\(*\s*-/.test(text)) expect(value / evaluate(parse(text))).toBeCloseTo(1, 12);
      else expect([text, plan]).toEqual([text, tensorize(text, { depth: 12 })]);
    }
  });

  it.each([
    ['2 * 3 ^ 2 / 5', 3.6],
    ['- 2 ^ 2 + 2 ^ - 1', -3.5],
    ['( 2 + 1 ) ^ 2 * 2', 18],
    ['( 2 ^ 3 ) ^ 2 / 2 ^ 5', 2],
    ['sqrt ( 16 ) - cbrt ( 8 * 8 ) / - ( 2 )', 6],
    ['cbrt ( - 8 ) * 3 - cbrt ( - ( 3 - 11 ) )', -8],
    ['2 - cbrt ( - 27 ) / 3', 3],
    ['15 % * ( 40 + 60 ) % - ( - 3 )', 3.15],
    ['8 / 2 / 2 - 3 - - ( 4 - 5 )', -2],
    ['9007199254740993 + 0', 2 ** 53],
    ['7', 7],
    ['- ( 7 )', -7],
  ])('%s is %d when it is executed', (text, expected) => {
    const { value, fault } = read(predictor(8, 30), symbolLabels(text));
    expect([value, fault]).toEqual([expected, 0]);
    if (!text.includes('%')) expect(value).toBeCloseTo(evaluate(fromText(text)), 12);
  });

  it('has the exponent that is written, to the last bit', () => {
    const exponents = ['0.1', '0.3', '2.2', '17', '0.3333333333333333', '123456789.1', '12.5 %', '0.000001'];
    for (let index = 0; index < 20; index++)
      exponents.push((randomStream(9, index).below(1e9) / 1e8).toFixed(index % 12));
    for (const text of exponents) {
      const expected = Number(text.replace(' %', '')) / (text.includes('%') ? 100 : 1);
      for (const [sign, times] of [
        ['', 1],
        ['- ', -1],
      ] as const) {
        const { O, fault } = read(predictor(4, 30), symbolLabels(`3 ^ ${sign}${text}`));
        expect([text, fault, O[0]]).toEqual([text, 0, times * expected]);
      }
    }
  });

  it('of the cube root of a negative number has the minus before the root, as tensorize does', () => {
    const { value, fault, complete, ...plan } = read(predictor(6, 30), symbolLabels('cbrt ( - 8 )'));
    expect({ value, fault, complete, ...plan }).toEqual({
      ...{ value: -2, fault: 0, complete: 1 },
      ...tensorize('cbrt(-8)', { depth: 6 }),
    });
  });

  it('has the value of its decisions at every token of texts in words, or a fault', () => {
    const planner = predictor(16, 30);
    let complete = 0;
    for (let index = 0; index < 40; index++) {
      const labels = labelsOf(
        generateFrame({ seed: 1, index, numbers: 8, maxDigits: 6, maxDecimals: 6, phrases: 'all' }),
      );
      const plan = planner.hardPlan(hiddenOf(labels), recordsOf(labels));
      const values = execute(graphs(plan, 16));
      const [faults, completes] = [data(plan.fault!), data(plan.complete!)];
      labels.forEach(({ complete: isComplete }, t) => {
        const prefix = labels.slice(0, t + 1);
        const meant = decidedValue(prefix);
        const what = `${shown(prefix)} = ${values[t]} (${FAULTS[faults[t]!]}), meant is ${meant}`;
        if (faults[t] === 1 || faults[t] === 2 ? t < 10 : faults[t] === 0 ? meant === null : meant !== null)
          throw new Error(what);
        // At inference, a negative number has no cube root.
        if (faults[t] === 0 && !Number.isNaN(values[t]) && !isNear(values[t]!, meant!)) throw new Error(what);
        expect(completes[t]).toBeCloseTo(Number(isComplete), 12);
        if (isComplete && faults[t] !== 1 && faults[t] !== 2) expect([what, faults[t]]).toEqual([what, 0]);
        complete += Number(isComplete);
      });
    }
    expect(complete).toBeGreaterThan(100);
  });

  it('of a mean is a sum and its division by the count; a mean of means keeps their groups', () => {
    const planner = predictor(12, 8);
    const word = (text: string, decision: string, nesting = 0): Word => ({
      ...{ text, decision, nesting, complete: true },
    });
    const list = (numbers: readonly number[]): Word[] =>
      numbers.flatMap((x, i) => [...(i > 0 ? [word(',', 'mean')] : []), word(String(x), 'none')]);
    const primes = [3, 5, 7, 11, 13, 17, 19, 23, 29];
    for (let n = 2; n <= primes.length; n++) {
      const some = primes.slice(0, n);
      const { value, fault, complete, ...plan } = read(planner, labelsOf(list(some)));
      expect(value).toBe(some.reduce((a, b) => a + b) / n);
      expect({ value, fault, complete, ...plan }).toEqual({
        ...{ value, fault: 0, complete: 1 },
        ...tensorize(`(${some.join(' + ')}) / ${n}`, { depth: 12 }),
      });
    }
    const inner = [word('(', 'none', 1), ...list([2, 4]), word(')', 'none', -1)];
    for (const words of [
      [...inner, word(',', 'mean'), word('6', 'none')],
      [word('6', 'none'), word(',', 'mean'), ...inner],
    ])
      expect(read(planner, labelsOf(words)).value).toBe(4.5);
  });

  it.each([
    ['80 by:add 25 %:percentOfLeft', 100],
    ['80 less:sub 25 %:percentOfLeft', 60],
    ['10 + 20 by:add 50 %:percentOfLeft + 1', 46],
    ['2 * 3 less:sub 10 %:percentOfLeft', 5.4],
    ['100 less:sub 10 %:percentOfLeft less:sub 10 %:percentOfLeft * 3', null],
    ['100 less:sub 10 %:percentOfLeft less:sub 10 %:percentOfLeft', 81],
    ['- 80 by:add 25 %:percentOfLeft', -100],
    ['( 3 - 11 ) by:add 12.5 %:percentOfLeft', -9],
    ['80 * 25 %:percentOfLeft', null],
    ['25 %:percentOfLeft', null],
    ['80 by:add ( 20 + 5 ) %:percentOfLeft', null],
    ['20 % off:off 85', 68],
    ['20 % off:off 85 - 8', 60],
    ['10 % to:onto ( 2 + 3 )', 5.5],
    ['10 % to:onto - 5', -5.5],
    ['50 % off:off ( 20 % off:off 85 ) squared:squared', 2312],
    ['3 * 50 % to:onto 2 * 5', 25],
  ])('of a change by a percentage, %j, has the value %d', (text, expected) => {
    const labels = labelsOf(
      text.split(' ').map((part, i, parts): Word => {
        const [said, mark] = part.split(':') as [string, string?];
        const isSign = part === '-' && !/^[\d)]/.test(parts[i - 1] ?? '');
        const decision = mark ?? (isSign ? 'neg' : (SYMBOLS[said] ?? 'none'));
        return { text: said, decision, nesting: NESTS[said] ?? 0, complete: true };
      }),
    );
    const { value, fault } = read(predictor(8, 30), labels);
    const meant = decidedValue(labels);
    if (expected === null) return expect([meant, fault > 0]).toEqual([null, true]);
    expect([value, meant, fault]).toEqual([expect.closeTo(expected, 12), expect.closeTo(expected, 12), 0]);
  });

  it('of any decisions at all has their value, or a fault', () => {
    const planner = predictor(6, 8);
    const words = [' 3', ' 4', ' 25', ' 7', '.', '5', ' the', ' .'];
    const nestings = [0, 0, 0, 0, 0, 0, 1, 1, -1, -1, 2, -2, THEN];
    const named = (names: string): number[] => names.split(' ').map(decisionOf);
    const [infix, before, behind] = [
      named('add sub mul div subFrom divInto mean mean pow bar onto off'),
      named('neg neg twice square sqrt cbrt cbrt'),
      named('squared cubed rooted halved tripled bar'),
    ];
    const counts = FAULTS.map(() => 0);
    for (let index = 0; index < 1000; index++) {
      const random = randomStream(5, index);
      const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
      const labels: Label[] = [];
      const put = (text: string, decision: number): void => {
        const [id] = gpt2.encode(text);
        labels.push({ record: gpt2.record(id!), decision, nesting: pick(nestings), complete: false });
      };
      const isWild = random.chance(0.3);
      for (let i = random.below(6); i >= 0; i--) {
        if (isWild) put(pick(words), random.chance(0.5) ? 0 : random.below(DECISIONS.length));
        else {
          if (labels.length > 0) put(' the', pick(infix));
          while (random.chance(0.3)) put(' the', pick(before));
          put(pick(words.slice(0, 4)), 0);
          if (random.chance(0.1)) put(' the', 1);
          if (random.chance(0.05)) put(' the', decisionOf('percentOfLeft'));
          while (random.chance(0.2)) put(' the', pick(behind));
        }
      }
      const { value, fault } = read(planner, labels);
      const meant = decidedValue(labels);
      const what = `${shown(labels)} = ${value}, meant is ${meant}`;
      if (fault === 0 && (meant === null || !isNear(value, meant))) throw new Error(what);
      counts[fault]!++;
    }
    // The most common one is that nothing is wrong, and each fault was met but that of digits: these numbers are short.
    expect(Math.min(...counts.filter((_, code) => code !== 2))).toBeGreaterThan(10);
    expect(counts.indexOf(Math.max(...counts))).toBe(0);
  });

  it.each([
    ['', 'no number'],
    ['3 4', 'two numbers without an operator between them'],
    ['3 ( 4 + 5 )', 'two numbers without an operator between them'],
    ['3 * 4 5', 'two numbers without an operator between them'],
    ['3 sqrt 4', 'two numbers without an operator between them'],
    ['( 3 ) % 4', 'two numbers without an operator between them'],
    ['+ 3', 'an operator without what it needs on its left'],
    ['3 * * 4', 'an operator without what it needs on its right'],
    ['% + 3', 'an operator without what it needs on its left'],
    ['3 +', 'an operator without what it needs on its right'],
    ['3 * - sqrt', 'an operator without what it needs on its right'],
    ['2 ^ ( 3 + 4 )', 'an exponent that is no number'],
    ['2 ^ 3 ^ 2', 'an exponent that is no number'],
    ['12345', 'a number of more digits, or percent signs, than there is room for'],
    ['1.2345', 'a number of more digits, or percent signs, than there is room for'],
    ['1 + 1 + 1 + 1', 'more numbers or operators than there is room for'],
    ['- - - - - - - 1', 'more numbers or operators than there is room for'],
    ['1 - - - - - 1', 'more numbers or operators than there is room for'],
    ['2 % % % %', 'a number of more digits, or percent signs, than there is room for'],
    ['1 + 2', 'none'],
    ['1.234 + - 0 %', 'none'],
  ])('of %j has the fault: %s', (text, fault) => {
    const labels =
      text === '' ? labelsOf([{ text: 'what', decision: 'none', nesting: 0, complete: false }]) : null;
    expect(FAULTS[read(predictor(3, 4), labels ?? symbolLabels(text)).fault]).toBe(fault);
  });

  it('of two numbers after each other knows them by their tokens', () => {
    const faultOf = (text: string, name: 'gpt2' | 'char'): string => {
      const { encode, record } = {
        encode: (x: string) => tokenizer(name).encode(x),
        record: (id: number) => tokenizer(name).record(id),
      };
      const labels = encode(text).map((id) => ({
        record: record(id),
        decision: 0,
        nesting: 0,
        complete: false,
      }));
      const { fault, value } = read(predictor(2, 8), labels);
      return fault === 0 ? String(value) : FAULTS[fault]!;
    };
    for (const name of ['gpt2', 'char'] as const) {
      for (const two of ['3 4', '3 . 5', '3 .5', '1.2.3', '3, 4'])
        expect(faultOf(two, name)).toMatch(/^two numbers/);
      expect(faultOf('no. 5', name)).toBe('5');
      expect(faultOf('it is 3.25.', name)).toBe('3.25');
      expect(faultOf('.25', name)).toBe('0.25');
      expect(faultOf('12345.5', name)).toBe('12345.5');
    }
  });
});

describe('the plan of probabilities', () => {
  const softPlan = (planner: PlanPredictor, hidden: Tensor, labels: readonly Label[], at?: number[]) => {
    const features = tokenFeatures(recordsOf(labels), [1, labels.length], planner.config, hidden);
    return planner.plan(planner.forward(hidden, features, { at }));
  };

  it('is the hard plan where decisions are certain', () => {
    const planner = predictor(8, 12);
    for (const text of [
      '2.5 * ( 3 - 14 ) ^ 2',
      '- 3 + 15 % / - ( 2 - sqrt 7 ) % * 1',
      '8 / 2 - 3 - - ( 4 - 5 )',
    ]) {
      const labels = symbolLabels(text);
      const soft = softPlan(planner, hiddenOf(labels), labels);
      const hard = planner.hardPlan(hiddenOf(labels), recordsOf(labels));
      for (const field of FIELDS) {
        expect(soft[field].shape).toEqual(hard[field].shape);
        const expected = data(hard[field]);
        data(soft[field]).forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 9));
      }
    }
  });

  it('has the gradient of central differences', () => {
    const layout = { depth: 3, digits: 3 };
    const labels = symbolLabels('- 2.5 * ( 3 - 14 ) ^ 2');
    const random = randomStream(7, 0);
    const uniform = (): number => random.below(1e6) / 1e6;
    const shape = [1, labels.length] as const;
    // Doubtful, but for the end of a part, which outweighs all else as soon as it has a probability.
    const logits = Float64Array.from(logitsOf(labels, 5), (x, i) =>
      i % WIDTH === DECISIONS.length + NESTING.indexOf(THEN) ? -20 : x + uniform(),
    );
    const x = tensor(logits, [...shape, WIDTH], { requiresGrad: true });
    const features = tokenFeatures(recordsOf(labels), shape, layout);
    const soft = (): DagTensorFields => {
      const [decisions, nestings, completes] = split(x, [DECISIONS.length, NESTING.length, 2], 2);
      const all = { decisions: decisions!, nestings: nestings!, completes: completes! };
      return decisionsReadout.plan(
        { ...all, registers: softRegisters(all, features, layout, undefined) },
        layout,
      );
    };
    const weights = FIELDS.map((field) => {
      const { size, shape } = soft()[field];
      return tensor(Float64Array.from({ length: size }, uniform), shape);
    });
    const weighted = (): Tensor => {
      const plan = soft();
      return FIELDS.map((field, i) => sum(mul(plan[field], weights[i]!))).reduce(add);
    };
    expect(gradCheck(weighted, [x], { step: 1e-6 }).failures).toEqual([]);
    expect(Math.max(...data(x.grad!).map(Math.abs))).toBeGreaterThan(0.1);
  });
});

describe('the losses of decisions', () => {
  const { losses, weights } = decisionsReadout;
  const fields = (logits: Tensor) => {
    const [decisions, nestings, completes] = split(logits, [DECISIONS.length, NESTING.length, 2], 2);
    return { decisions: decisions!, nestings: nestings!, completes: completes!, registers: logits };
  };

  it('are cross entropies, means over the tokens that count', () => {
    const random = randomStream(8, 0);
    const logits = tensor(
      Float32Array.from({ length: 6 * WIDTH }, () => random.below(100) / 25),
      [2, 3, WIDTH],
    );
    const classes = {
      decisions: [3, -1, 0, 26, 7, 1],
      nestings: [0, -1, 13, 2, 1, 0],
      completes: [1, -1, 0, 1, -1, 1],
    };
    const i32 = (values: readonly number[]) => tensor(Int32Array.from(values), [6]);
    const decided = [0.25, 0.25, 0.25, 0, 0.25, 0];
    const targets = {
      ...{
        decisions: i32(classes.decisions),
        nestings: i32(classes.nestings),
        completes: i32(classes.completes),
      },
      decided: tensor(Float32Array.from(decided), [6]),
    } as unknown as Targets;
    const parts = [
      ['operators', 'decisions', 0],
      ['nesting', 'nestings', DECISIONS.length],
      ['complete', 'completes', DECISIONS.length + NESTING.length],
    ] as const;
    for (const [loss, name, from] of parts) {
      const size = fields(logits)[name].shape[2]!;
      const rows = logits.dataSync();
      const expected = decided.reduce((total, share, t) => {
        const target = classes[name][t]!;
        const row = Array.from(rows.slice(t * WIDTH + from, t * WIDTH + from + size));
        const nll = Math.log(row.reduce((n, y) => n + Math.exp(y), 0)) - (row[target] ?? 0);
        return total + (target < 0 ? 0 : share * nll);
      }, 0);
      expect(losses[loss]!.compute(fields(logits), targets).item()).toBeCloseTo(expected, 5);
    }
    expect(weights).toEqual({ operators: 1, nesting: 1, complete: 0.3 });
  });
});
