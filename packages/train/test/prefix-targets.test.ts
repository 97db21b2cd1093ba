import { describe, expect, it } from '@jest/globals';
import { asRead, completePrefix, normalize, parse, wordsToText } from '@dag/expr';
import { createRegisterTargets, tokenizer, writeRegisterTargets } from '@dag/model';
import { tensorizeInto, zeroDag } from '@dag/tensorize';
import { batchOf, trainingBatch, type Batch, type StreamConfig } from '../src/predictor/stream.js';

/** The same targets the long way: every prefix by itself is completed, parsed, normalised and tensorized. */
function targetsOfEach(
  { texts, shape: [B, T] }: Batch,
  config: StreamConfig,
): Pick<Batch, 'valid' | 'plan' | 'registers'> {
  const tokens = tokenizer(config.tokenizer);
  const plan = zeroDag({ depth: config.depth, size: B * T });
  const registers = createRegisterTargets(B * T, config);
  const valid = new Uint8Array(B * T);
  for (const [b, text] of texts.entries()) {
    const ids = tokens.encode(asRead(text)).slice(0, T);
    for (const t of ids.keys()) {
      // A character that is not whole yet says nothing.
      const typed = tokens.decode(ids.slice(0, t + 1)).replace(/\uFFFD+$/, '');
      const complete = completePrefix(typed);
      if (complete === null) continue;
      const prefix = symbolsOf(typed);
      const expr = parse(complete);
      if (!writeRegisterTargets(registers, b * T + t, prefix, expr, config)) continue;
      tensorizeInto(normalize(expr), plan, b * T + t);
      valid[b * T + t] = 1;
    }
  }
  return { valid, plan, registers };
}

const OPENING = /^(what is|what's|how much is|calculate|compute)/i;

/** What a begin of a text asks for, in symbols. */
function symbolsOf(text: string): string {
  const asked = text.replace(OPENING, '').replace(/[?=] *$/, '');
  return /[a-z]{2}|\d [a-z]$/i.test(asked) ? wordsToText(asked) : asked;
}

/** Arrays of a batch that are not those of every prefix by itself, each with the first prefix where they differ. */
function differences(batch: Batch, config: StreamConfig): string[] {
  const expected = targetsOfEach(batch, config);
  const arrays = ({
    valid,
    plan: { V_mag, V_sign, O, G },
    registers,
  }: Pick<Batch, 'valid' | 'plan' | 'registers'>) =>
    Object.entries({ valid, V_mag, V_sign, O, G, ...registers });
  const [B, T] = batch.shape;
  return arrays(expected).flatMap(([name, wanted], i) => {
    const [, got] = arrays(batch)[i]!;
    if (Buffer.compare(bytesOf(wanted), bytesOf(got)) === 0) return [];
    const at = wanted.findIndex((value, k) => !Object.is(value, got[k]));
    const row = Math.floor(at / (wanted.length / (B * T)));
    return [`${name} of token ${row % T} of '${batch.texts[Math.floor(row / T)]}'`];
  });
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

const EXAMPLES = 20_000;
const BATCH = 100;
const STYLES = ['spaced', 'mixed', 'loose', 'question', 'compact', 'words'] as const;

describe('the targets of prefixes', () => {
  it(`are those of each prefix by itself: ${EXAMPLES} random examples`, () => {
    const problems: string[] = [];
    let valid = 0;
    let masked = 0;
    for (let i = 0; i < EXAMPLES / BATCH; i++) {
      const maxDigits = 1 + (i % 4);
      const maxDecimals = i % 5;
      const config: StreamConfig = {
        seed: i,
        tokenizer: i % 9 === 0 ? 'char' : 'gpt2',
        blockSize: 512,
        batchSize: BATCH,
        depth: 1 + (i % 6),
        // In some batches numbers have more digits than registers hold.
        digits: i % 7 === 0 ? 3 : maxDigits + maxDecimals,
        data: {
          numbers: 1 + (i % 6),
          maxDigits,
          maxDecimals,
          style: STYLES[i % STYLES.length]!,
          negatedGroups: [0, 0.1, 0.5][i % 3]!,
          wholeNumbers: 0,
        },
      };
      const batch = trainingBatch(config, 0);
      problems.push(...differences(batch, config));
      const held = batch.valid.reduce((sum, one) => sum + one, 0);
      valid += held;
      masked += batch.valid.length - held;
    }
    expect(problems).toEqual([]);
    expect(valid).toBeGreaterThan(10 * EXAMPLES);
    expect(masked).toBeGreaterThan(EXAMPLES);
  }, 240_000);

  const config: StreamConfig = {
    seed: 1,
    tokenizer: 'char',
    blockSize: 512,
    batchSize: 300,
    depth: 8,
    digits: 8,
    data: { numbers: 8, maxDigits: 3, maxDecimals: 2, style: 'compact', negatedGroups: 0.3, wholeNumbers: 0 },
  };

  it('are so up to where a text goes wrong, too', () => {
    const junk = '0123456789+-*/() '.split('');
    const texts = trainingBatch({ ...config, depth: 6, data: { ...config.data, numbers: 6 } }, 0).texts.map(
      (text, i) => {
        const at = (i * 7) % (text.length + 1);
        return text.slice(0, at) + junk[i % junk.length]! + text.slice(at + (i % 2));
      },
    );
    // A number that begins or ends with its point is for the next test.
    const batch = batchOf(
      texts.filter((text) => !/(?<!\d)\.|\.[*/]/.test(text)),
      config,
    );
    expect(batch.texts.length).toBeGreaterThan(200);
    expect(differences(batch, config)).toEqual([]);
  });

  it.each([
    ...[
      '-1 * (2 + 34',
      '(-1)*(23 - 4)',
      '-1 * -(3 + 45)',
      '2 * -1 * (3 + 4)',
      '-(-(25) / 3',
      '-(-(1 + 25',
      '--25',
      '-+-5',
    ],
    ...[
      '+3 * +40',
      '-0 - -0.0',
      '007 + 0.50',
      ' 12 + 3 ',
      '\t12  +  3',
      '2. + 3.',
      '2. * 3.',
      '(((12',
      '-((12 +',
      '1 - (2 - (3 - (4',
    ],
    ...[
      '',
      ' ',
      '-',
      '(',
      '-(-',
      '2)',
      '* 3',
      '2 3',
      '1.2.3',
      '1..2',
      '2 ++ 3',
      '2 @ 3',
      '2 × 3',
      '2 + 3!',
      '( )',
      '2(3)',
      '()',
    ],
    ...[
      '1 + 2e',
      'x',
      '2 * x + 1',
      '2x',
      '2 + sin(3)',
      'two plus three',
      'two plus',
      'two divided by three',
      'twenty',
    ],
  ])('are so for %j', (text) => {
    expect(differences(batchOf([text], config), config)).toEqual([]);
  });

  it.each([
    ['.5', [0, 1]],
    ['3 + .5', [1, 1, 1, 1, 0, 1]],
    ['2 ^ -1', [1, 1, 0, 0, 0, 0]],
    ['12 + 1e3', [1, 1, 1, 1, 1, 0, 0, 0]],
    ['2 + x * 3', [1, 1, 1, 1, 0, 0, 0, 0, 0]],
  ])('of %j are masked from what registers cannot hold on, and at a point without a digit', (text, valid) => {
    expect(Array.from(batchOf([text], config).valid.slice(0, text.length))).toEqual(valid);
  });
});
