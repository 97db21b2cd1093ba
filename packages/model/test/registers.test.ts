import { describe, expect, it } from '@jest/globals';
import { cast, tensor, type Tensor } from '@dag/executor';
import { ParameterBuilder } from '../src/gpt.js';
import { OUTPUT, RegisterWriter, tokenFeatures, type Registers } from '../src/plan-predictor/registers.js';
import { TensorOps } from '../src/plan-predictor/array-ops.js';
import type { ReadOptions } from '../src/plan-predictor/read-options.js';
import {
  hardFeatures,
  writeHardRegisters,
  type HardRegisters,
} from '../src/plan-predictor/hard-registers.js';
import { tokenizer, type TokenRecord } from '../src/index.js';

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

function recordsOf(text: string): TokenRecord[] {
  const characters = tokenizer('char');
  return characters.encode(text).map((id) => characters.record(id));
}

function read(text: string, options: ReadOptions = {}, certainty = 40): Registers {
  const hidden = decisions(text, certainty);
  const features = tokenFeatures(recordsOf(text), [1, text.length], layout, hidden);
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
  const hard = (text: string, last: readonly number[] | null): HardRegisters<Tensor> => {
    const ops = new TensorOps(undefined, undefined, last && tensor(Float64Array.from(last)));
    const outputs = cast(decisions(text, 0.8), 'f64');
    const features = hardFeatures(recordsOf(text), [1, text.length], layout, {});
    return writeHardRegisters(ops, outputs, features, layout);
  };
  /** Digits of each slot. */
  const digits = ({ digit, present }: HardRegisters<Tensor>): string[] => {
    const [N, S, R] = digit.shape as [number, number, number];
    const [values, there] = [digit.dataSync(), present.dataSync()];
    return Array.from({ length: N * S }, (_, s) =>
      Array.from({ length: R }, (_, r) => (there[s * R + r] ? String(values[s * R + r]) : '')).join(''),
    );
  };

  it('scatters the digits after it where it is summed as it is, and none where each token decides', () => {
    const soft = read('1+23', { at }, 0.8).digits.dataSync();
    // The 2 in the first register of slot 1.
    expect(soft[layout.digits * 10 + 2]).toBeLessThan(0.5);
    expect(digits(hard('1+23', at))).toEqual(['1', '23', '']);
  });

  it('is decided at every token as at one', () => {
    const all = hard('1+23', null);
    expect(digits(all)).toEqual(['1', '', '', '1', '', '', '1', '2', '', '1', '23', '']);
    for (const [t] of [...'1+23'].entries()) {
      const one = hard('1+23', [t]);
      for (const field of ['digit', 'present', 'length', 'negative', 'operators', 'priority'] as const) {
        const { size } = one[field];
        expect(all[field].dataSync().slice(t * size, (t + 1) * size)).toEqual(one[field].dataSync());
      }
    }
  });
});
