import { describe, expect, it } from '@jest/globals';
import { completePrefix, evaluate, format, fromText, normalize, parse, textToWords } from '@dag/expr';
import { execute } from '@dag/executor';
import { decidedPrefixes, tokenizer } from '@dag/model';
import { tensorize } from '@dag/tensorize';
import { batchOf, streamText, trainingBatch, type StreamConfig } from '../src/predictor/stream.js';
import { TrainError } from '../src/error.js';

const config: StreamConfig = {
  seed: 3,
  tokenizer: 'char',
  blockSize: 64,
  batchSize: 16,
  depth: 4,
  digits: 6,
  data: { numbers: 4, maxDigits: 3, maxDecimals: 2, style: 'spaced', negatedGroups: 0.2, wholeNumbers: 0 },
};
/** The stream with other settings of its data. */
const withData = (data: Partial<StreamConfig['data']>, base = config): StreamConfig => ({
  ...base,
  data: { ...base.data, ...data },
});

describe('the stream', () => {
  it('is a pure function of seed and index', () => {
    expect(trainingBatch(config, 5)).toEqual(trainingBatch(config, 5));
    expect(trainingBatch(config, 5).texts).not.toEqual(trainingBatch(config, 6).texts);
    expect(trainingBatch({ ...config, seed: 4 }, 5).texts).not.toEqual(trainingBatch(config, 5).texts);
  });

  it('deals out the texts of a step by length, each of them once', () => {
    const config4 = { ...config, accumulate: 4 };
    const batches = [4, 5, 6, 7].map((i) => trainingBatch(config4, i));
    const plain = [4, 5, 6, 7].map((i) => trainingBatch(config, i));
    const textsOf = (of: typeof batches) => of.flatMap(({ texts }) => texts);
    expect(textsOf(batches).toSorted()).toEqual(textsOf(plain).toSorted());
    const lengths = textsOf(batches).map((text) => text.length);
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    const area = (of: typeof batches) => of.reduce((sum, { shape: [, T] }) => sum + T, 0);
    expect(area(batches)).toBeLessThan(area(plain));
    // One batch does not depend on those that were made before it.
    expect(trainingBatch({ ...config4 }, 6)).toEqual(batches[2]);
  });

  it('has the share of largest expressions that it is asked for, but not among those that are held out', () => {
    const mean = (split: 'train' | 'held-out', largest: number) => {
      const texts = Array.from({ length: 1000 }, (_, i) => streamText(withData({ largest }), split, i));
      return texts.reduce((sum, text) => sum + text.match(/[\d.]+/g)!.length, 0) / 1000;
    };
    const usual = mean('train', 0);
    expect(mean('train', 1)).toBe(config.data.numbers);
    expect(mean('train', 0.5)).toBeCloseTo((usual + config.data.numbers) / 2, 1);
    expect(mean('held-out', 1)).toBe(mean('held-out', 0));
  });

  it('has no plans where it is asked for none, and is the same besides', () => {
    const whole = trainingBatch(config, 5);
    expect(trainingBatch(config, 5, false)).toEqual({ ...whole, plan: null, values: null });
  });

  it('begins texts at later and later positions where it is asked to', () => {
    const positions = (from: number) =>
      Array.from({ length: 200 }, (_, i) => {
        const { position, shape } = trainingBatch(
          withData({ shiftEvery: 10 }, { ...config, batchSize: 1 }),
          from + i,
        );
        expect(position + shape[1]).toBeLessThanOrEqual(64);
        return position;
      });
    expect(Math.max(...positions(0))).toBeLessThanOrEqual(19);
    const late = positions(10_000);
    expect(Math.min(...late)).toBe(0);
    expect(new Set(late).size).toBeGreaterThan(30);
    expect(trainingBatch(config, 10_000).position).toBe(0);
  });

  it('never trains on an expression that is held out, whatever the seeds and the spacing', () => {
    const texts = (split: 'train' | 'held-out', seed: number, style: StreamConfig['data']['style']) =>
      Array.from({ length: 1500 }, (_, i) =>
        streamText(
          withData({ maxDigits: 1, maxDecimals: 0, style }, { ...config, depth: 2, seed }),
          split,
          i,
        ).replaceAll(' ', ''),
      );
    const heldOut = new Set(texts('held-out', 1, 'spaced'));
    expect(heldOut.size).toBeGreaterThan(20);
    expect(
      [...texts('train', 1, 'spaced'), ...texts('train', 2, 'compact')].filter((text) => heldOut.has(text)),
    ).toEqual([]);
  });

  it('has for every token the plan of the prefix up to it', () => {
    const batch = trainingBatch(config, 0);
    const characters = tokenizer('char');
    const [B, T] = batch.shape;
    let checked = 0;
    for (let b = 0; b < B; b++) {
      const ids = characters.encode(batch.texts[b]!);
      for (let t = 0; t < T; t++) {
        const n = b * T + t;
        const complete = t < ids.length ? completePrefix(characters.decode(ids.slice(0, t + 1))) : null;
        expect(batch.valid[n]).toBe(complete === null ? 0 : 1);
        if (complete === null) continue;
        const expected = tensorize(normalize(parse(complete)), { depth: 4 });
        expect(Array.from(batch.plan.V_mag.slice(n * 8, (n + 1) * 8))).toEqual(Array.from(expected.V_mag));
        expect(Array.from(batch.plan.O.slice(n * 32, (n + 1) * 32))).toEqual(Array.from(expected.O));
        expect(batch.values[n]).toBe(evaluate(normalize(parse(complete))));
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(100);
  });

  it('has decisions that write a plan of the value of each prefix', () => {
    for (let i = 0; i < 30; i++) {
      const { texts, decisions, valid, values } = batchOf([streamText(config, 'train', i)], config);
      const chars = tokenizer('char');
      const records = chars.encode(texts[0]!).map((id) => chars.record(id));
      const written = execute(
        decidedPrefixes(
          {
            ...{ records, decisions: [...decisions.classes.subarray(0, records.length)] },
            nestings: [...decisions.nestings.subarray(0, records.length)],
          },
          config,
        ),
      );
      records.forEach((_, t) => {
        if (!valid[t]) return;
        const prefix = texts[0]!.slice(0, t + 1);
        const ratio = values![t] === 0 ? 1 + written[t]! : written[t]! / values![t]!;
        expect([prefix, ratio]).toEqual([prefix, expect.closeTo(1, 10)]);
      });
    }
  });

  it('gives the same plan for words', () => {
    const words = withData({ style: 'words' }, { ...config, tokenizer: 'gpt2' });
    const text = '2.50 * (3 - 41)';
    const spoken = batchOf([textToWords(text)], words);
    const written = batchOf([text], withData({ style: 'spaced' }, words));
    const lastOf = (batch: typeof spoken) => batch.valid.lastIndexOf(1);
    const at = (batch: typeof spoken, size: number, array: ArrayLike<number>) =>
      Array.from(array).slice(lastOf(batch) * size, (lastOf(batch) + 1) * size);
    expect(at(spoken, 8, spoken.plan.V_mag)).toEqual(at(written, 8, written.plan.V_mag));
    expect(at(spoken, 32, spoken.plan.O)).toEqual(at(written, 32, written.plan.O));
  });

  it('holds an expression out in every style, words too', () => {
    const tiny = withData({ maxDigits: 1, maxDecimals: 0 }, { ...config, depth: 2 });
    const texts = (split: 'train' | 'held-out', seed: number, style: StreamConfig['data']['style']) =>
      Array.from({ length: 600 }, (_, i) => streamText(withData({ style }, { ...tiny, seed }), split, i));
    const symbols = (text: string): string => format(fromText(text));
    const heldOut = new Set(texts('held-out', 1, 'mixed').map(symbols));
    expect(heldOut.size).toBeGreaterThan(20);
    for (const style of ['words', 'question', 'loose'] as const)
      expect(texts('train', 2, style).filter((text) => heldOut.has(symbols(text)))).toEqual([]);
  });

  it('masks what the layout cannot hold: a number of too many digits', () => {
    const { valid } = batchOf(['1234567 + 1'], config);
    // Six digits fit; from the seventh on the number is too long, to the end of the text.
    expect(Array.from(valid.slice(0, 11))).toEqual([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
  });

  it('says so where the block has no room for what was asked', () => {
    expect(
      streamText(
        withData({ maxDigits: 1, maxDecimals: 0 }, { ...config, depth: 1, blockSize: 1 }),
        'train',
        0,
      ),
    ).toMatch(/^[1-9]$/);
    const none = { ...config, blockSize: 0 };
    for (const split of ['train', 'held-out'] as const) {
      expect(() => streamText(none, split, 0)).toThrow(TrainError);
      expect(() => streamText(none, split, 0)).toThrow(/fits into model.blockSize 0; use a larger one/);
    }
  });
});
