import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { evaluate as evaluateByMathjs } from 'mathjs';
import { formatValue, fromText, normalize, format, wordsToText } from '@dag/expr';
import { execute } from '@dag/executor';
import { decidedPrefixes, tokenizer } from '@dag/model';
import { tensorize } from '@dag/tensorize';
import { batchOf } from '../src/predictor/stream.js';
import {
  languageBatch,
  trainedLines,
  type LanguageBatch,
  type LanguageStreamConfig,
} from '../src/language/language-stream.js';
import { question } from '../src/evaluation/questions.js';
import { promptOf, workedPrompts } from '../src/language/worked-line.js';

const config: LanguageStreamConfig = {
  ...{ seed: 3, tokenizer: 'gpt2', blockSize: 128, batchSize: 16, depth: 4, digits: 6 },
  data: {
    ...{ text: '', arithmetic: 0.5, numbers: 4, maxDigits: 3, maxDecimals: 2 },
    ...{ style: 'mixed', negatedGroups: 0.2, wholeNumbers: 0.3 },
  },
};
/** The stream with other settings of its data. */
const withData = (data: Partial<LanguageStreamConfig['data']>, base = config): LanguageStreamConfig => ({
  ...base,
  data: { ...base.data, ...data },
});

/** Texts of 20,000 tokens; no id of one is in the other, and none in a worked line but the newline. */
const TEXT_IDS = {
  train: Uint16Array.from({ length: 20_000 }, (_, i) => (i % 50 === 0 ? 198 : 30_000 + (i % 9973))),
  'held-out': Uint16Array.from({ length: 20_000 }, (_, i) => 40_000 + (i % 9973)),
};
let folder: string;
let withText: LanguageStreamConfig;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dag-text-'));
  writeFileSync(join(folder, 'train.bin'), TEXT_IDS.train);
  writeFileSync(join(folder, 'val.bin'), TEXT_IDS['held-out']);
  withText = withData({ text: folder });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Line {
  readonly row: number;
  readonly prompt: string;
  readonly value: string;
  /** Row of `expressions`. */
  readonly m: number;
  /** Index of the token at which the gate is 1. */
  readonly gate: number;
  readonly end: number;
}

/** The worked lines of a batch, read from its arrays. */
function linesOf(
  { shape: [, T], tokens, gate, gateKnown, expressions }: LanguageBatch,
  name = config.tokenizer,
): Line[] {
  const decode = (ids: Int32Array): string => tokenizer(name).decode([...ids]);
  const lines: Line[] = [];
  const [, L] = expressions?.shape ?? [0, 0];
  for (const [m, last] of expressions?.last.entries() ?? []) {
    if (last < 0) continue;
    const ids = expressions!.index.slice(m * L, m * L + last + 1);
    const at = ids[last]!;
    expect(gate[at]).toBe(1);
    let end = at + 1;
    while (gateKnown[end] === 0) end++;
    lines.push({
      ...{ m, gate: at, end, row: Math.floor(at / T) },
      prompt: decode(tokens.slice(ids[0]!, at + 1)),
      value: decode(tokens.slice(at + 1, end + 1)),
    });
  }
  return lines;
}

/** Asked in words or symbols, as symbols that mathjs reads. */
const symbolsOf = (prompt: string): string => {
  const asked = prompt.replace(/^(what is|what's|how much is|calculate|compute)/i, '').replace(/[?=].*$/, '');
  return /[a-z]/i.test(asked) ? wordsToText(asked) : asked;
};

describe('the stream of language models', () => {
  it('is a pure function of the configuration and the index', () => {
    expect(languageBatch(withText, 'train', 5)).toEqual(languageBatch({ ...withText }, 'train', 5));
    const tokensOf = (...of: Parameters<typeof languageBatch>) => languageBatch(...of).tokens;
    expect(tokensOf(withText, 'train', 6)).not.toEqual(tokensOf(withText, 'train', 5));
    expect(tokensOf({ ...withText, seed: 4 }, 'train', 5)).not.toEqual(tokensOf(withText, 'train', 5));
    expect(tokensOf(config, 'held-out', 5)).not.toEqual(tokensOf(config, 'train', 5));
  });

  it.each(['gpt2', 'char'] as const)(
    'has the value of the plan behind every worked expression, which mathjs confirms (%s)',
    (name) => {
      let lines = 0;
      const forms = new Set<string>();
      for (let i = 0; lines < 400; i++) {
        const batch = languageBatch({ ...config, tokenizer: name }, 'train', i);
        const { expressions, tokens, targets } = batch;
        const newline = tokenizer(name).encode('\n')[0];
        for (const { prompt, value, m, gate, end } of linesOf(batch, name)) {
          const at = m * expressions!.shape[1] + expressions!.last[m]!;
          expect([prompt, expressions!.valid[at]]).toEqual([prompt, 1]);
          expect(value.trimStart()).toBe(formatValue(expressions!.values![at]!));
          expect(expressions!.spaced[m]).toBe(Number(value !== value.trimStart()));
          const expr = fromText(prompt);
          const { V_mag, V_sign, O, G } = tensorize(expr, { depth: 4 });
          const [nodes, steps] = [8, 4];
          expect(expressions!.written[m]).toBe(expressions!.values![at]);
          const plan = expressions!.plan!;
          expect(plan.V_mag.slice(at * nodes, (at + 1) * nodes)).toEqual(V_mag);
          expect(plan.V_sign.slice(at * nodes, (at + 1) * nodes)).toEqual(V_sign);
          expect(plan.O.slice(at * nodes * steps, (at + 1) * nodes * steps)).toEqual(O);
          expect(plan.G.slice(at * steps, (at + 1) * steps)).toEqual(G);
          // Chains of three and more round in another order, and a difference of near equals shows it.
          const expected = Number(evaluateByMathjs(symbolsOf(prompt)));
          expect(Math.abs(Number(value) - expected)).toBeLessThanOrEqual(
            1e-9 * Math.max(1, Math.abs(expected)),
          );
          expect(value.trimStart().length).toBeLessThanOrEqual(24);
          // The end of the line is what the last token of the value is followed by, and nothing of the value is a target.
          expect(targets.slice(gate, end)).toEqual(new Int32Array(end - gate).fill(-1));
          expect(targets[end]).toBe(newline);
          if (
            end + 1 < tokens.length &&
            Math.floor((end + 1) / batch.shape[1]) === Math.floor(end / batch.shape[1])
          )
            expect(tokens[end + 1]).toBe(newline);
          const asked = prompt + (value.startsWith(' ') ? ' ' : '');
          forms.add(/[?=] ?$|^.*( = )$/.exec(asked)![0].replace(/^.*(?= = $)/, ''));
          lines++;
        }
      }
      expect([...forms].toSorted()).toEqual([' = ', '= ', '=', '? '].toSorted());
    },
  );

  it('asks the gate everywhere but inside of values, and the next token but for values and most expressions', () => {
    const lines = { written: 0, read: 0 };
    for (let i = 0; i < 10; i++) {
      const batch = languageBatch(withText, 'train', i);
      const { shape, tokens, targets, gate, gateKnown } = batch;
      const [B, T] = shape;
      const expected = {
        gate: new Uint8Array(B * T),
        gateKnown: new Uint8Array(B * T).fill(1),
        masked: new Uint8Array(B * T),
      };
      const { index, shape: expressionsShape } = batch.expressions!;
      for (const { m, gate: at, end } of linesOf(batch)) {
        const first = index[m * expressionsShape[1]]!;
        expected.gate[at] = 1;
        expected.gateKnown.fill(0, at + 1, end);
        // The target of the token before it is the expression's first token.
        const isWritten = at > first ? targets[first]! >= 0 : targets[first - 1]! >= 0;
        lines[isWritten ? 'written' : 'read']++;
        expected.masked.fill(1, isWritten ? at : first % T === 0 ? first : first - 1, end);
      }
      expect(gate).toEqual(expected.gate);
      expect(gateKnown).toEqual(expected.gateKnown);
      for (let n = 0; n < B * T; n++) {
        if (expected.masked[n]) expect(targets[n]).toBe(-1);
        else if ((n + 1) % T !== 0) expect(targets[n]).toBe(tokens[n + 1]);
        else expect(targets[n]).toBeGreaterThanOrEqual(0);
      }
    }
    const { written, read } = lines;
    expect(written / (written + read)).toBeCloseTo(1 / 8, 1);
  });

  it('has the targets of every prefix of an expression that batches of expressions have', () => {
    const batch = languageBatch(config, 'train', 2);
    const { expressions: worked } = batch;
    const [, L] = worked!.shape;
    const lines = linesOf(batch);
    let compared = 0;
    const single = batchOf(
      lines.map(({ prompt }) => prompt),
      config,
    );
    const [, T] = single.shape;
    for (const [i, { m, prompt }] of lines.entries()) {
      const ids = tokenizer(config.tokenizer).encodeSigns(prompt);
      // Other batches have signs beside each other as one token.
      if (ids.join() !== tokenizer(config.tokenizer).encode(prompt).join()) continue;
      const { length } = ids;
      compared++;
      expect(worked!.last[m]! + 1).toBe(length);
      const rows = (array: ArrayLike<number>, row: number, width: number, count: number): number[] => {
        const size = array.length / (count * width);
        return Array.from(array).slice(row * width * size, (row * width + length) * size);
      };
      const pairs = [
        [worked!.valid, single.valid],
        [worked!.values!, single.values],
        [worked!.plan!.O, single.plan.O],
        [worked!.plan!.V_mag, single.plan.V_mag],
        [worked!.decided, single.decided],
        [worked!.decisions.nestings, single.decisions.nestings],
        [worked!.decisions.completes, single.decisions.completes],
      ] as const;
      for (const [one, other] of pairs)
        expect(rows(one, m, L, worked!.shape[0])).toEqual(rows(other, i, T, lines.length));
      // An operator is written where what it stands before begins, and the values of prefixes are the same.
      const records = ids.map((id) => tokenizer(config.tokenizer).record(id));
      const [decisions, nestings] = [worked!.decisions.classes, worked!.decisions.nestings].map((all) =>
        rows(all, m, L, worked!.shape[0]),
      ) as [number[], number[]];
      const values = execute(decidedPrefixes({ records, decisions, nestings }, config));
      rows(worked!.valid, m, L, worked!.shape[0]).forEach((valid, t) => {
        if (valid) expect(values[t]).toBeCloseTo(worked!.values![m * L + t]!, 9);
      });
    }
    expect(compared).toBeGreaterThan(40);
  });

  it('has no plans where it is asked for none, and is the same besides', () => {
    const whole = languageBatch(config, 'train', 2);
    const { expressions } = whole;
    expect(languageBatch(config, 'train', 2, false)).toEqual({
      ...whole,
      expressions: { ...expressions, plan: null, values: null },
    });
  });

  it('has no rows of expressions that are longer than its own', () => {
    // Not a multiple of 8.
    const short = { ...config, tokenizer: 'char', blockSize: 39 } as const;
    const longest = Array.from({ length: 20 }, (_, i) => languageBatch(short, 'train', i).expressions!).map(
      ({ shape: [, L], last }) => [L, Math.max(...last) + 1],
    );
    expect(Math.max(...longest.map(([, length]) => length!))).toBeGreaterThan(32);
    expect(Math.max(...longest.map(([L]) => L!))).toBe(39);
  });

  it('has few shapes where it is asked for few, of sizes that are not much larger', () => {
    const shapes = { some: new Set<string>(), few: new Set<string>() };
    for (let i = 0; i < 60; i++) {
      const all = (['some', 'few'] as const).map((which) => {
        const batch = languageBatch({ ...withText, fewShapes: which === 'few' }, 'train', i, false);
        const sizes = [batch.targetRows, ...batch.expressions!.shape];
        shapes[which].add(sizes.join(' '));
        return { batch, sizes };
      });
      const [some, few] = all as [(typeof all)[number], (typeof all)[number]];
      few.sizes.forEach((size, k) => {
        expect(size).toBeGreaterThanOrEqual(some.sizes[k]!);
        expect(size).toBeLessThan(some.sizes[k]! * [1.25, 1.25, 1.5][k]!);
      });
      expect(few.batch.targets).toEqual(some.batch.targets);
      const { expressions: padded, shape } = few.batch;
      expect(few.sizes[0]).toBeLessThanOrEqual(shape[0] * shape[1]);
      expect(padded!.last.filter((l) => l >= 0)).toEqual(some.batch.expressions!.last.filter((l) => l >= 0));
    }
    expect(shapes.some.size).toBeGreaterThan(50);
    expect(shapes.few.size).toBeLessThan(16);
  });

  it('pads the rows of expressions with their last token, and their number with rows that are none', () => {
    const { expressions } = languageBatch(config, 'train', 0);
    const { shape, index, last, valid } = expressions!;
    const [M, L] = shape;
    expect([M % 8, L % 8]).toEqual([0, 0]);
    let padded = 0;
    for (let m = 0; m < M; m++)
      for (let l = last[m]! + 1; l < L; l++) {
        expect(index[m * L + l]).toBe(last[m]! < 0 ? 0 : index[m * L + last[m]!]);
        expect(valid[m * L + l]).toBe(0);
        padded++;
      }
    expect(padded).toBeGreaterThan(0);
  });

  it('has rows of text alone as windows of the file of its split, at random offsets', () => {
    for (const split of ['train', 'held-out'] as const) {
      const batch = languageBatch(withData({ arithmetic: 0 }, { ...withText, batchSize: 32 }), split, 0);
      const { tokens, targets, gate, gateKnown, expressions } = batch;
      expect(expressions).toBeNull();
      expect(gate.every((one) => one === 0)).toBe(true);
      expect(gateKnown.every((one) => one === 1)).toBe(true);
      const all = Array.from(TEXT_IDS[split]).join(' ');
      const rows = Array.from({ length: 32 }, (_, b) =>
        [...tokens.slice(b * 128, (b + 1) * 128), targets[(b + 1) * 128 - 1]!].join(' '),
      );
      for (const row of rows) expect(all).toContain(row);
      expect(new Set(rows).size).toBe(32);
      expect(targets.slice(0, 127)).toEqual(tokens.slice(1, 128));
    }
  });

  it('has the share of mixed rows that it is asked for, and text on both sides of lines in them', () => {
    const { shape, gate, tokens } = languageBatch(
      withData({ arithmetic: 0.25 }, { ...withText, batchSize: 400 }),
      'train',
      0,
    );
    const [B, T] = shape;
    let mixed = 0;
    let texts = 0;
    for (let b = 0; b < B; b++) {
      const row = tokens.slice(b * T, (b + 1) * T);
      if (!gate.subarray(b * T, (b + 1) * T).includes(1)) continue;
      mixed++;
      const kinds = Array.from(row, (id) => (id >= 30_000 ? 't' : id === 198 ? '' : 'l')).join('');
      if (/lt/.test(kinds) && /tl/.test(kinds)) texts++;
    }
    // 100 of 400 are expected; the deviation is 8.7.
    expect(Math.abs(mixed - 100)).toBeLessThan(40);
    expect(texts).toBeGreaterThan(0.5 * mixed);
  });

  it('begins lines with expressions, or goes on with one where a piece of text ends in a word or a mark', () => {
    const [T, newline] = [config.blockSize, 198];
    let [inLine, onTheirOwn] = [0, 0];
    for (let index = 0; index < 8; index++) {
      const batch = languageBatch(withData({ arithmetic: 1 }, withText), 'train', index);
      for (const { m, prompt } of linesOf(batch)) {
        const first = batch.expressions!.index[m * batch.expressions!.shape[1]]!;
        const before = first % T === 0 ? newline : batch.tokens[first - 1]!;
        if (before === newline) {
          onTheirOwn++;
          expect(prompt).toMatch(/^\S/);
        } else {
          inLine++;
          expect(prompt).toMatch(/^ \S/);
          expect(tokenizer('gpt2').decode([before])).toMatch(/[a-z,.:;)]$/i);
        }
      }
    }
    expect(inLine).toBeGreaterThan(10);
    expect(inLine / onTheirOwn).toBeLessThan(0.25);
  });

  it('leaves a line out that the end of the row would cut, and pads where there is no text', () => {
    const { shape, tokens, targets, gateKnown } = languageBatch(config, 'train', 1);
    const [B, T] = shape;
    let padding = 0;
    for (let b = 0; b < B; b++) {
      const row = (array: Int32Array | Uint8Array) => Array.from(array.subarray(b * T, (b + 1) * T));
      const length = row(gateKnown).lastIndexOf(1) + 1;
      const lines = tokenizer('gpt2').decode(row(tokens).slice(0, length));
      if (length < T) expect(lines).toMatch(/\d\n$/);
      expect(row(tokens).slice(length)).toEqual(Array(T - length).fill(0));
      expect(row(targets).slice(length)).toEqual(Array(T - length).fill(-1));
      for (const line of lines.trimEnd().split('\n')) expect(line).toMatch(/[=?] ?-?\d+(\.\d+)?$/);
      padding += T - length;
    }
    expect(padding).toBeGreaterThan(0);
    expect(padding).toBeLessThan(0.3 * B * T);
  });

  it('never trains on an expression that is held out', () => {
    const tiny = withData({ numbers: 2, maxDigits: 1, maxDecimals: 0 }, { ...config, depth: 2 });
    const expressions = (split: 'train' | 'held-out', seed: number) =>
      [0, 1, 2, 3, 4, 5].flatMap((i) =>
        linesOf(languageBatch({ ...tiny, seed }, split, i)).map(({ prompt }) => format(fromText(prompt))),
      );
    const heldOut = new Set([
      ...expressions('held-out', 1),
      ...workedPrompts(tiny, 50, 1).map(({ text }) => format(fromText(text))),
    ]);
    expect(heldOut.size).toBeGreaterThan(20);
    expect(expressions('train', 2).filter((text) => heldOut.has(text))).toEqual([]);
  });

  it('says so where a row has no room, the layout is too small, or the text is too short', () => {
    expect(() => languageBatch({ ...config, blockSize: 2 }, 'train', 0)).toThrow(
      expect.objectContaining({ code: 'bad-config', message: expect.stringMatching(/model\.blockSize 2/) }),
    );
    expect(() => languageBatch({ ...config, digits: 2 }, 'train', 0)).toThrow(
      expect.objectContaining({ code: 'bad-config', message: expect.stringMatching(/model\.digits 2/) }),
    );
    expect(() => languageBatch({ ...withText, blockSize: 20_000 }, 'train', 0)).toThrow(
      expect.objectContaining({
        code: 'bad-input',
        message: expect.stringMatching(/train\.bin has 20000 tokens.*20001/s),
      }),
    );
  });
});

it('the lines that a batch was trained on are those that it has the values of', () => {
  for (const index of [0, 7]) {
    const values = trainedLines(config, index).map(({ value }) => value);
    const written = [...languageBatch(config, 'train', index, false).expressions!.written];
    expect(values).toEqual(written.filter((value) => !Number.isNaN(value)));
    for (const { text, plain, ids } of trainedLines(config, index)) {
      expect(format(fromText(text))).toBe(format(fromText(plain)));
      expect(ids).toEqual(tokenizer(config.tokenizer).encode(text));
    }
  }
});

describe('prompts for evaluation', () => {
  it('are held-out expressions up to their value, each once', () => {
    const prompts = workedPrompts(config, 100, 7);
    expect(prompts).toEqual(workedPrompts(config, 100, 7));
    expect(new Set(prompts.map(({ text }) => text)).size).toBe(100);
    for (const { prompt, expected, text } of prompts) {
      expect(prompt.startsWith(text)).toBe(true);
      expect(prompt).toMatch(/[?=] ?$/);
      expect(execute(tensorize(normalize(fromText(prompt)), { depth: 4 }))[0]).toBe(expected);
    }
  });

  it('of other texts end right before the value, their expressions as training has them', () => {
    const prompts = ['2 × 3', ' TWO plus 3. ', 'What is 1,000 ÷ 4?', '2*3=', 'Tom has 2 × 3 \t6'];
    expect(prompts.map((line) => promptOf(question(line)))).toEqual([
      ...['2 * 3 = ', 'two plus 3 = ', 'What is 1000 / 4? ', '2*3= ', 'Tom has 2 × 3 = '],
    ]);
  });
});
