import { describe, expect, it } from '@jest/globals';
import { tensor, type Tensor } from '@dag/executor';
import { ParameterBuilder } from '../src/gpt.js';
import { OUTPUT, RegisterWriter, tokenFeatures } from '../src/plan-predictor/registers.js';
import { tokenizer } from '../src/index.js';

const layout = { depth: 2, digits: 6 };
const OUTPUTS = OUTPUT.nesting + 1;
const PLUS = 1;

/** What tokens decide by their hidden states, which are the outputs of the writer themselves. */
function decisions(text: string): Tensor {
  const rows = new Float32Array(text.length * OUTPUTS);
  [...text].forEach((char, t) => (rows[t * OUTPUTS + (char === '+' ? PLUS : 0)] = 40));
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

/** Digits before the point of each slot, at every token or at one. */
function lengths(text: string, at?: number): number[] {
  const characters = tokenizer('char');
  const hidden = decisions(text);
  const records = characters.encode(text).map((id) => characters.record(id));
  const features = tokenFeatures(records, [1, text.length], layout, hidden);
  const registers = writer().forward(hidden, features, at === undefined ? at : [at]);
  return Array.from(registers.length.dataSync(), Math.round);
}

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
    [...text].forEach((_, t) => expect(lengths(text, t)).toEqual(perToken[t]));
  });
});
