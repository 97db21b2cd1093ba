import { describe, expect, it } from '@jest/globals';
import { tensor, type Tensor } from '@dag/executor';
import { ParameterBuilder } from '../src/gpt.js';
import {
  harden,
  OUTPUT,
  RegisterWriter,
  tokenFeatures,
  type ReadOptions,
  type Registers,
} from '../src/plan-predictor/registers.js';
import { tokenizer } from '../src/index.js';

const layout = { depth: 2, digits: 6 };
const OUTPUTS = OUTPUT.nesting + 1;
const PLUS = 1;

/** What tokens decide by their hidden states, which are the outputs of the writer themselves. */
function decisions(text: string, certainty: number): Tensor {
  const rows = new Float32Array(text.length * OUTPUTS);
  [...text].forEach((char, t) => (rows[t * OUTPUTS + (char === '+' ? PLUS : 0)] = certainty));
  return tensor(rows, [1, text.length, OUTPUTS]);
}

function writer(): RegisterWriter {
  const build = new ParameterBuilder(null);
  const made = new RegisterWriter('write', OUTPUTS, layout, build);
  const identity = Float32Array.from({ length: OUTPUTS ** 2 }, (_, i) => Number(i % (OUTPUTS + 1) === 0));
  build.parameters.get('write.weight')!.set(identity);
  build.parameters.get('write.bias')!.set(new Float32Array(OUTPUTS));
  return made;
}

function read(text: string, options: ReadOptions = {}, certainty = 40): Registers {
  const characters = tokenizer('char');
  const hidden = decisions(text, certainty);
  const records = characters.encode(text).map((id) => characters.record(id));
  const features = tokenFeatures(records, [1, text.length], layout, hidden);
  return writer().forward(hidden, features, options);
}

/** Digits before the point of each slot, at every token or at one. */
const lengths = (text: string, at?: readonly number[]): number[] =>
  Array.from(read(text, { at }).length.dataSync(), Math.round);

describe('the digits before the decimal point', () => {
  const text = '12.34+.5+678';
  const perToken = [...text].map((_, t) => lengths(text).slice(3 * t, 3 * t + 3));

  it('are those before the point of their own number, however far ahead another one is', () => {
    expect(perToken[1]).toEqual([2, 0, 0]);
    expect(perToken[4]).toEqual([2, 0, 0]);
    expect(perToken[7]).toEqual([2, 0, 0]);
    expect(perToken[11]).toEqual([2, 0, 3]);
  });

  it('are the same where one token alone is asked', () => {
    [...text].forEach((_, t) => expect(lengths(text, [t])).toEqual(perToken[t]));
  });
});

describe('a doubtful operator', () => {
  const at = [3];
  /** Classes of the digits of each slot, at the last token. */
  const digits = (options: ReadOptions): string[] => {
    const { digits } = harden(read('1+23', options, 0.8));
    const [, , S, R] = digits.shape as [number, number, number, number];
    const values = digits.dataSync();
    return Array.from({ length: S }, (_, s) =>
      Array.from({ length: R }, (_, r) => values.slice((s * R + r) * 10, (s * R + r + 1) * 10).indexOf(1))
        .filter((digit) => digit >= 0)
        .join(''),
    );
  };

  it('scatters the digits after it where it is summed as it is, and none where each token decides', () => {
    expect(digits({ at })).not.toEqual(['1', '23', '']);
    expect(digits({ at, hard: true })).toEqual(['1', '23', '']);
  });

  it('is decided at every token as at one', () => {
    const all = read('1+23', { hard: true }, 0.8);
    const one = read('1+23', { hard: true, at }, 0.8);
    for (const field of ['digits', 'length', 'operators', 'priority', 'count'] as const) {
      const last = one[field].dataSync();
      expect(Array.from(all[field].dataSync().slice(-last.length))).toEqual(Array.from(last));
    }
  });
});
