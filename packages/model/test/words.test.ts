import { describe, expect, it } from '@jest/globals';
import { execute } from '@dag/executor';
import { decidedTensors, ModelError, PredictorModel, tokenizer } from '../src/index.js';
import type { PredictorConfig } from '../src/index.js';
import { smallestPlan } from '../src/refusal.js';
import { generateFrame } from '../../train/src/reading/frames.js';
import { labelledText } from '../../train/src/predictor/words-stream.js';

const words = tokenizer('words');
const config: PredictorConfig = {
  ...{ blockSize: 256, nLayer: 1, nHead: 2, nEmbd: 16, dropout: 0, bias: true, convolution: 3 },
  ...{ tokenizer: 'words', readout: 'decisions', depth: 4, digits: 20 },
};

describe("tokenizer('words')", () => {
  it('reads words apart from each other, with a blank before the first', () => {
    expect(words.read('What is 2.5×(Three plus 4)?')).toBe(' what is 2.5 * ( 3 plus 4 ) ?');
    expect(words.read('')).toBe(' ');
  });

  it('gives all tokens of digits one of two rows of the embedding: that of a first token, and that of the others', () => {
    const rows = (text: string): number[] => words.encode(text).map((id) => words.row(id));
    const [first] = rows(' 0');
    const [rest] = words.encode('0');
    expect(rows(' 123456789')).toEqual([first, ...rows(' 123456789').slice(1).fill(rest!)]);
    expect(rows(' 7')).toEqual([first]);
    expect(rows(' plus')).toEqual(words.encode(' plus'));
  });

  it('knows a point within a number from the end of a sentence', () => {
    const points = (text: string): boolean[] =>
      words.encode(words.read(text)).map((id) => words.record(id).point);
    expect(points('2.5')).toContain(true);
    expect(points('2 plus 5.')).not.toContain(true);
  });
});

describe('smallest', () => {
  it('has the value of the plan, at a depth that cannot be less', () => {
    for (let index = 0; index < 60; index++) {
      const { ids, targets } = labelledText({
        seed: 3,
        index,
        numbers: 6,
        maxDigits: 3,
        maxDecimals: 2,
        phrases: 'all',
      });
      const records = ids.map((id) => words.record(id));
      const plan = decidedTensors(
        { records, decisions: targets.classes, nestings: targets.nestings },
        { depth: 48, digits: 30 },
      );
      const small = smallestPlan(plan);
      expect(Object.is(execute(small)[0], execute(plan)[0])).toBe(true);
      expect(small.depth).toBeLessThanOrEqual(24);
      expect(smallestPlan(small)).toEqual(small);
    }
  });
});

describe('a model of words', () => {
  const model = new PredictorModel(config, { seed: 1 });

  it('chooses the depth of a plan by the text', () => {
    const long = Array.from({ length: 20 }, (_, i) => String(i + 1)).join(' + ');
    expect(model.predictPlans([long]).depth).toBeGreaterThanOrEqual(20);
    expect(model.predictPlans(['2 + 3']).depth).toBe(4);
  });

  it('refuses what it cannot read, with what it would have read', () => {
    let error: unknown;
    try {
      model.predict('hello');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ModelError);
    const { code, message, reading } = error as ModelError;
    expect(code).toBe('unreadable');
    expect(message).toMatch(/no number/);
    expect(reading).toMatchObject({ text: 'hello', doubt: message });
    expect(reading!.confidence).toBeGreaterThanOrEqual(0);
    expect(reading!.confidence).toBeLessThanOrEqual(1);
  });

  it('names the words that training never met', () => {
    const met = new PredictorModel(config, { seed: 1 });
    const weight = met.parameters.get('wte.weight')!;
    const rows = weight.dataSync().slice();
    for (const id of words.encode(' wombat')) rows.fill(0, id * 16, (id + 1) * 16);
    weight.set(rows);
    expect(met.predictTexts(['2 wombat 3']).refusals[0]).toMatch(
      /the text has .*, which this model has never seen/,
    );
  });

  it('reads N texts as it reads each of them', () => {
    const texts = ['2 + 3', 'the sum of 4 and 5.25', 'what is 7 - - 8 ?', 'half of 12'];
    const together = model.predictTexts(texts);
    texts.forEach((text, i) => {
      const alone = model.predictTexts([text]);
      expect(alone.refusals[0]?.replace(/\d/g, '')).toBe(together.refusals[i]?.replace(/\d/g, ''));
      expect(alone.confidences[0]).toBeCloseTo(together.confidences[i]!, 4);
    });
  });

  it('is causal: later tokens change no plan before them', () => {
    const frame = generateFrame({
      seed: 2,
      index: 1,
      numbers: 6,
      maxDigits: 3,
      maxDecimals: 2,
      phrases: 'all',
    });
    const ids = words.encode(` ${frame.map(({ text }) => text).join(' ')}`);
    const half = ids.length >> 1;
    const plans = (tokens: readonly number[]): number[][] =>
      Object.values(model.hardPlan(Int32Array.from(tokens), [1, tokens.length])).map((field) => {
        const width = field.size / tokens.length;
        return [...field.dataSync().slice(0, (half + 1) * width)];
      });
    const others = ids.map((id, t) => (t <= half ? id : ids[(t * 7) % ids.length]!));
    expect(plans(others)).toEqual(plans(ids));
  });
});
