/** @jest-environment ./packages/model/test/host-arrays-environment.js */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { evaluate, fromText, randomStream, type Random } from '@dag/expr';
import { exportOnnx, OnnxPredictor, tokenizer, type PredictorModel } from '@dag/model';
import { onnxIt } from '../../model/test/onnxruntime.js';
import { readCheckpoint } from '../src/checkpoints/checkpoint.js';
import { parseConfig } from '../src/config/config.js';
import { answer, collect, summarize } from '../src/evaluation/evaluate.js';
import { pretrainedCheckpoint } from '../src/checkpoints/pretrained.js';
import { heldOutQuestions, type Question } from '../src/evaluation/questions.js';
import { streamConfig } from '../src/predictor/objective.js';
import { loadPretrained } from '../src/load-pretrained.js';
import { loadModel, predictorTask, train } from '../src/predictor/predictor-task.js';
import { configOfKind } from '../src/checkpoints/state.js';

let model: PredictorModel;
let questions: Question[];
beforeAll(async () => {
  model = await loadPretrained();
  const config = configOfKind(await pretrainedCheckpoint(), 'predictor');
  // Another seed than the one that chose the checkpoint.
  questions = heldOutQuestions(streamConfig(config), 300, 77);
});

/** An expression in signs that people type, of up to 4 operands, some of them groups, calls or powers. */
function symbols(random: Random, depth = 2): string {
  const pick = (from: string): string => {
    const parts = from.split(' ');
    return parts[random.below(parts.length)]!;
  };
  const number = (): string =>
    [
      () => String(1 + random.below(99)),
      () => (random.below(1e6) / 100).toFixed(2),
      () => `1,${100 + random.below(900)}.${random.below(9)}`,
      () => `${1 + random.below(99)}%`,
      () => `.${1 + random.below(99)}`,
      () => `${1 + random.below(9)}e${pick('- +')}${random.below(5)}`,
      () => `$${1 + random.below(99)}`,
      () => `√${1 + random.below(99)}`,
      () => `${1 + random.below(9)}${pick('² ³ ⁻¹')}`,
      () => `${pick('- −')}${1 + random.below(99)}`,
      () => `${1 + random.below(9)}${pick('^ **')}${pick('2 0.1 -1 (1/2) (-2) (1+1) 1.3')}`,
    ][random.below(11)]!();
  const operand = (): string => {
    const kind = depth > 0 ? random.below(9) : 9;
    if (kind === 0) return `(${symbols(random, depth - 1)})`;
    if (kind === 1) return `[${symbols(random, depth - 1)}]${pick('^2 % ² /2')}`;
    if (kind === 2)
      return `${pick('sqrt √ abs')}(${symbols(random, depth - 1)})${pick('^2 % + ** 3')
        .replace('**', '**2')
        .replace(/^[+3]$/, '')}`;
    if (kind === 3) return `|${number()} ${pick('+ -')} ${number()}|`;
    return number();
  };
  let text = operand();
  for (let n = random.below(4); n > 0; n--)
    text += pick('+ - – × * ÷ / ·').replace(/^.$/, random.chance(0.5) ? ' $& ' : '$&') + operand();
  return text;
}

describe('the plan at every token', () => {
  it('is that of the text up to there, refused where that text is', () => {
    const { tokens, confidences, at } = model.predictPrefixes('3 times (4 minus 1) squared');
    expect(tokens).toEqual([' 3', ' times', ' (', ' 4', ' minus', ' 1', ' )', ' squared']);
    expect(tokens.map((_, t) => (at(t).refusal === null ? at(t).value : null))).toEqual([
      ...[3, null, null, null, null, null, 9, 27],
    ]);
    tokens.forEach((_, t) => {
      const prefix = tokens
        .slice(0, t + 1)
        .join('')
        .trim();
      const alone = model.predictTexts([prefix]);
      expect([at(t).value, at(t).refusal]).toEqual([alone.values[0], alone.refusals[0]]);
      expect(at(t).confidence).toBeCloseTo(alone.confidences[0]!, 5);
      expect(confidences![t]).toBeCloseTo(alone.confidences[0]!, 5);
    });
  });

  it('says what each token decides, and which node it writes', () => {
    const { decisions, at } = model.predictPrefixes('half of -2.5 ^ 3 + 15%');
    expect(decisions!.map(({ writes }) => writes)).toEqual([
      ...['half', 'none', 'neg', 'none', 'none', 'none', 'pow', 'none', 'add', 'none', 'percent'],
    ]);
    const { tensors, nodes } = at(decisions!.length - 1);
    const { depth, O } = tensors;
    const [power, half, sum] = [depth, depth + 1, depth + 2].map((node) => nodes!.indexOf(node));
    expect(nodes!.filter((node) => node === 0)).toHaveLength(3);
    expect([power, half, sum].every((token) => token! >= 0)).toBe(true);
    // The exponent is a coefficient of the step of its power.
    expect(nodes![7]).toBe(nodes![6]);
    expect(O[2 * depth * (nodes![6]! - depth)]).toBe(3);
  });

  it('refuses a token that the text does not have', () => {
    expect(() => model.predictPrefixes('1 + 2').at(3)).toThrow('0 … 2, given 3');
  });
});

describe('the shipped model', () => {
  it.each([
    ['2.5 * 3.0 + 1.0', 8.5],
    ['-(12 - 4.5) / 2 * (3 + 1)', -15],
    ['two point five times three', 7.5],
    ['minus twelve plus open three times four close', 0],
    ['What is 123 plus 456?', 579],
    ['What is 98765 times 43210?', 98765 * 43210],
    ['12×3÷4 =', 9],
    ['2^10', 1024],
    ['16^(1/2) + 27^(1/3)', 7],
    ['5^0.1', 5 ** 0.1],
    ['sqrt(4)% + sqrt(9)^3', 27.02],
    ['2 * |50% ^ 2| + 15% x 80', 12.5],
    ['5 – 3', 2],
    ['1e-7 * 3', 3e-7],
    ['15% of 80', 12],
    ['half of 15 % of 80', 6],
    ['|3 - 10|', 7],
    ['sqrt(207.36) =', Math.sqrt(207.36)],
    ['Divide 416 by -2.', -208],
    ['subtract 3 from 10', 7],
    ['What is 5 less than 9?', 4],
    ['the product of 3 and the sum of 4 and 5', 27],
    ['take 7 from twice 12, then divide by 5', 3.4],
    ['12 squared', 144],
    ['3 to the power of 4', 81],
    ['add up 3, 4 and 5', 12],
    ['Give the answer in decimals. 14 / -400 =', -0.035],
    ['1+2+3+4+5+6+7+8+9+10+11+12', 78],
    ['12345678901234567890 + 1', Number('12345678901234567890')],
    // Words that it has never seen, beside what is asked.
    ['The wombat sleeps. What is 2 + 3?', 5],
    ['What is 2 + 3, said the wombat', 5],
    ['what is 7', 7],
    ['8 more than 27', 35],
    ['the sum of the squares of 3 and 4', 25],
    ['sum up 7, 14, 21, 28', 70],
    // A minus behind the word that takes away.
    ['what is 5 less -3', 8],
    ['9 subtract 4', 5],
    ['9 subtracting -4', 13],
    ['square -5', 25],
    // Eight times as many numbers as training had.
    [Array.from({ length: 64 }, (_, i) => i + 1).join(' + '), 2080],
    [`what is ${Array.from({ length: 64 }, (_, i) => i + 1).join(' + ')}?`, 2080],
  ])('reads %j', (text, value) => {
    const { value: predicted, doubt, confidence } = model.predict(text);
    expect(predicted).toBeCloseTo(value, 9);
    expect(doubt).toBeNull();
    expect(confidence).toBeGreaterThan(0.5);
  });

  const calls = ['abs(3 - 12)', '|3 - 12|', '|-9|', 'sqrt(81)', '√(80 + 1)', 'cbrt(-729)', '|2 - |3 - 12||'];
  it.each([
    ...['half of F', '10% of F', 'twice F', 'the sum of F and 4', 'the sum of four and F'],
    ...[
      'the difference between F and 4',
      'the average of F, 5 and 7',
      'the average of 5, F and 7',
      '3 less than F',
    ],
    ...[
      'take 3 from F',
      'add F to 4',
      'multiply 3 by F',
      'divide F by 2',
      'F squared',
      'the cube of F',
      'add up F, 4 and F',
    ],
    ...['F plus F', '4 divided by F', 'what is F - 2?', 'half of F times 3', 'the product of F and F'],
  ])('reads functions and bars in %j', (phrase) => {
    const texts = calls.map((call) => phrase.replaceAll('F', call));
    const { values, refusals } = model.predictTexts(texts);
    texts.forEach((text, i) => {
      if (refusals[i] === null)
        expect([text, values[i]]).toEqual([text, expect.closeTo(evaluate(fromText(text)), 9)]);
    });
    expect(refusals.filter((refusal) => refusal === null).length).toBeGreaterThanOrEqual(6);
  });

  it.each([
    ['hello world', /no number/],
    ['2 wombat 3', /the text has `wombat`, which this model has never seen/],
    ['2 + 3 wombats', /the text has `wombats`, which/],
    ['wombat 2 + 3', /the text has `wombat`, which/],
    ['2^3^2', /an exponent that is no number/],
    ['0x10', /not a whole expression/],
    ['5!', /./],
    ['5 and 9', /./],
    ['what is 3 + π', /the text has `π`, which/],
    ['12 34', /two numbers without an operator/],
    ['12 + 5 plus', /an operator without what it needs on its right/],
    ['sin(0.5)', /./],
    ['2 * (3 + 4', /a parenthesis is not closed/],
    ['(2 + 432) : (547 + 6) =', /never seen/],
    ['|3|-5|', /a bar of \|x\| has no partner/],
    ['Tom has 3 apples and buys 4 more. How many apples does he have?', /./],
    ['What is the sum of the digits of 4965?', /./],
    ['Double 15 and then halve the result twice.', /./],
  ])('refuses %j', (text, reason) => {
    const [refusal] = model.predictTexts([text]).refusals;
    expect(refusal).toMatch(reason);
    expect(() => model.predict(text)).toThrow(expect.objectContaining({ code: 'unreadable' }));
  });

  it('reads random expressions in symbols as fromText does, or refuses them', () => {
    const texts = Array.from({ length: 100 }, (_, index) => symbols(randomStream(23, index)));
    const { values, refusals } = model.predictTexts(texts);
    const near = (a: number, b: number): boolean => a === b || Math.abs(a - b) <= 1e-9 * Math.abs(b);
    texts.forEach((text, i) => {
      const meant = evaluate(fromText(text));
      if (
        refusals[i] === null &&
        !near(values[i]!, meant) &&
        !(Number.isNaN(meant) && Number.isNaN(values[i]!))
      )
        throw new Error(`${text} is ${meant}, read as ${values[i]!}`);
    });
    expect(refusals.filter((refusal) => refusal === null).length).toBeGreaterThan(70);
  });

  it('answers held-out texts right, and hardly one wrong', async () => {
    const { value, refused } = summarize(await collect(answer(model, questions)));
    expect(value).toBeGreaterThan(0.9);
    expect(1 - value - refused).toBeLessThan(0.03);
  });

  it('is causal: what follows a text changes nothing of its plan', () => {
    const asked = questions.slice(0, 20).map(({ text }) => model.tokenizer.encode(text));
    for (const ids of asked) {
      const half = ids.length >> 1;
      const plan = (tokens: number[], at: number): number[][] => {
        const { V_mag, V_sign, O, G } = model.hardPlan(Int32Array.from(tokens), [1, tokens.length]);
        return [V_mag, V_sign, O, G].map((field) => {
          const width = field.size / tokens.length;
          return [...field.dataSync().slice(at * width, (at + 1) * width)];
        });
      };
      const others = ids.map((id, t) => (t <= half ? id : asked[0]![t % asked[0]!.length]!));
      expect(plan(others, half)).toEqual(plan(ids, half));
    }
  });

  it('can be what a new run begins with, at step 0', async () => {
    const outDir = await mkdtemp(join(tmpdir(), 'dag-pretrained-'));
    const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      const shipped = await pretrainedCheckpoint();
      const config = parseConfig({
        ...configOfKind(shipped, 'predictor'),
        ...{ weights: 'pretrained', outDir, maxSteps: 1, batchSize: 4, accumulate: 1 },
        evaluation: { examples: 20 },
      });
      const result = await train(config);
      expect(result).toMatchObject({ step: 1, summary: { count: 20 } });
      expect(result.summary!.value).toBeGreaterThan(0.8);
      const moved = [...result.model.parameters].filter(
        ([name, p]) => !isDeepStrictEqual(p.dataSync(), model.parameters.get(name)!.dataSync()),
      );
      expect(moved.length).toBe(model.parameters.size);
      const checkpoint = await readCheckpoint(result.checkpoint);
      expect([...checkpoint.files.keys()]).toContain('optimizer.safetensors');
      // What the file does not know is read in pieces, but not by a training that goes on from it, which may meet it.
      const asTrained = tokenizer('words').encode(' helicopter');
      expect(loadModel(checkpoint).tokenizer.encode(' helicopter')).not.toEqual(asTrained);
      const goesOn = predictorTask(config).model(checkpoint);
      expect(goesOn.tokenizer.encode(' helicopter')).toEqual(asTrained);
      expect(goesOn.parameters.get('wte.weight')!.dataSync()).toEqual(
        result.model.parameters.get('wte.weight')!.dataSync(),
      );
    } finally {
      stderr.mockRestore();
      await rm(outDir, { recursive: true });
    }
  });

  onnxIt('is the same in onnxruntime, with room for as many numbers as are asked', async () => {
    const predictor = await OnnxPredictor.load(exportOnnx(model, { depth: 16 }));
    const texts = [
      ...questions.slice(0, 40).map(({ text }) => text),
      '12 34',
      '2 wombat 3',
      '2 * (3',
      '2 - cbrt(3 - 30)',
      'cbrt(8 - 8)',
    ];
    for (const text of texts) {
      const [[native], [onnx]] = [
        model.predictTexts([text]).refusals,
        (await predictor.predictTexts([text])).refusals,
      ];
      // Confidences differ in their last digits.
      expect(onnx?.replace(/0\.\d+/, '')).toBe(native?.replace(/0\.\d+/, ''));
      if (native !== null) continue;
      const [a, b] = [model.predict(text), await predictor.predict(text)];
      expect(b.tensors).toEqual(a.tensors);
      if (Number.isFinite(a.value))
        expect(Math.abs(b.value - a.value)).toBeLessThanOrEqual(1e-12 * Math.abs(a.value));
      else expect(b.value).toBe(a.value);
      expect(b.confidence).toBeCloseTo(a.confidence!, 3);
    }
    const long = Array.from({ length: 20 }, (_, i) => i).join(' + ');
    await expect(predictor.predict(long)).rejects.toMatchObject({
      message: expect.stringMatching(/than there is room for/),
    });
  });
});
