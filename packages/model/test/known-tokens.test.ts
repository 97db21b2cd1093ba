/** Models that read with the tokens in their file, as a page does, against the same models with all of GPT-2's tokens. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PredictorModel } from '../src/index.js';
import { unknownParts } from '../src/doubt.js';
import { decodeSafetensors, encodeSafetensors } from '../src/safetensors/format.js';
import type { SafeTensor } from '../src/safetensors/tensor.js';

const WEIGHTS = createRequire(import.meta.url).resolve('@dag/model/weights/reading/model.safetensors');

let bytes: Uint8Array;
let few: PredictorModel;
/** With all tokens. */
let whole: PredictorModel;
/** As Node loads it. */
let node: PredictorModel;
let again: Uint8Array;
let withoutRanks: (tensors: Map<string, SafeTensor>) => unknown;
beforeAll(async () => {
  bytes = new Uint8Array(await readFile(WEIGHTS));
  // The entry for pages, before that for Node brings all tokens.
  const portable = await import('../src/portable.js');
  expect(() => portable.tokenizer('words')).toThrow(expect.objectContaining({ code: 'no-runtime' }));
  few = portable.PredictorModel.load(bytes);
  again = few.save({ dtype: 'F16' });
  const { metadata } = decodeSafetensors(bytes);
  const failures: unknown[] = [];
  withoutRanks = (tensors) => {
    try {
      return portable.PredictorModel.load(encodeSafetensors(tensors, metadata));
    } catch (error) {
      return error;
    }
  };
  for (const [name, change] of CHANGES) failures.push([name, withoutRanks(changed(change))]);
  refused = failures as [string, unknown][];
  const { PredictorModel } = await import('../src/index.js');
  node = PredictorModel.load(bytes);
  whole = new PredictorModel(few.config, { seed: null });
  for (const [name, p] of whole.parameters) p.set(few.parameters.get(name)!.dataSync());
});

let refused: [string, unknown][];

type Change = (tensors: Map<string, SafeTensor>) => void;
const changed = (change: Change): Map<string, SafeTensor> => {
  const tensors = new Map(decodeSafetensors(bytes).tensors);
  change(tensors);
  return tensors;
};
const replace = (name: string, dtype: 'I32' | 'U8', of: (data: number[]) => number[]): Change =>
  function (tensors) {
    const data = of([...(tensors.get(name)!.data as Int32Array)]);
    const array = dtype === 'I32' ? Int32Array.from(data) : Uint8Array.from(data);
    tensors.set(name, { dtype, shape: [data.length], data: array });
  };
const CHANGES: [string, Change][] = [
  ['without lengths', (tensors) => void tensors.delete('tokens.lengths')],
  ['ids that do not ascend', replace('tokens.ids', 'I32', (ids) => ids.toReversed())],
  ['fewer ids than lengths', replace('tokens.ids', 'I32', (ids) => ids.slice(1))],
  ['ids beyond the vocabulary', replace('tokens.ids', 'I32', (ids) => [...ids.slice(0, -1), 50_256])],
  ['fewer bytes than lengths say', replace('tokens.bytes', 'U8', (data) => data.slice(1))],
  [
    'another token in place of a byte',
    replace('tokens.bytes', 'U8', (data) => [...data.slice(0, 1), ...data.slice(0, -1)]),
  ],
];

/** Texts of the kind that people type: words known and unknown, numbers, punctuation, other scripts. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...'what is the sum of product and divided by minus less than half square root squared then take from'.split(
          ' ',
        ),
      ),
      fc.constantFrom(
        ...'wombat kilogram integral thirteenths antidisestablishmentarianism Zürich π 数 x² naïve'.split(
          ' ',
        ),
      ),
      fc.stringMatching(/^[a-z]{1,12}$/),
      fc.stringMatching(/^[0-9]{1,9}(\.[0-9]{1,5})?$/),
      fc.constantFrom('+', '-', '×', '(', ')', '**', '%', "'s", '?!', '\n', '…'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    { maxLength: 12 },
  )
  .map((words) => words.join(' '));

it('encodes texts of known tokens alike, and names the same words of others', () => {
  fc.assert(
    fc.property(text, (text) => {
      const read = whole.tokenizer.read(text);
      expect(unknownParts(read, few)).toEqual(unknownParts(read, whole));
      for (const piece of whole.tokenizer.pieces(read)) {
        const ids = whole.tokenizer.encode(piece);
        const isKnown = whole.wereTrained(ids).every(Boolean);
        const some = few.tokenizer.encode(piece);
        if (isKnown) expect(some).toEqual(ids);
        expect(few.tokenizer.decode(some)).toBe(whole.tokenizer.decode(ids));
      }
    }),
    { numRuns: 1000 },
  );
});

it.each([
  '2.5 * 3.0 + 1.0',
  'What is 123 plus 456?',
  'Divide 416 by -2.',
  'the product of 3 and the sum of 4 and 5',
  '12345678901234567890 + 1',
  'half of 15 % of 80',
  '12 34',
])('predicts the same of %j', (text) => {
  expect(few.predictTexts([text])).toEqual(whole.predictTexts([text]));
});

it.each(['2 wombat 3', 'what is 3 + π', 'how many kilograms are 3 pounds', 'x² + 1', 'sin(0.5)'])(
  'refuses %j for the same reason',
  (text) => {
    const [why] = whole.predictTexts([text]).refusals;
    expect(why).not.toBeNull();
    expect(few.predictTexts([text]).refusals).toEqual([why]);
  },
);

it('encodes every text in Node as in a page', () => {
  fc.assert(
    fc.property(text, (text) => {
      const read = whole.tokenizer.read(text);
      expect(node.tokenizer.encode(read)).toEqual(few.tokenizer.encode(read));
    }),
  );
  expect(node.tokenizer.encode(' parliament')).not.toEqual(whole.tokenizer.encode(' parliament'));
});

it('names whole words, not the tokens in them', () => {
  expect(few.predictTexts(['2 megawombats plus 3']).refusals[0]).toMatch('`megawombats`');
});

it('saves the tokens again, with and without the whole vocabulary', () => {
  expect(again).toEqual(bytes);
  expect(node.save({ dtype: 'F16' })).toEqual(bytes);
  expect(whole.save({ dtype: 'F16' })).toEqual(bytes);
});

it('refuses a file whose tokens are no table of them', () => {
  for (const [name, error] of refused)
    expect([name, error]).toEqual([name, expect.objectContaining({ name: 'ModelError', code: 'bad-file' })]);
});
