import { describe, expect, it } from '@jest/globals';
import { execute } from '@dag/executor';
import { completePrefix, evaluate, ExprError, fromText, normalize, parse, wordsToText } from '@dag/expr';
import { DECISIONS, decidedTensors, NESTING, tokenizer } from '@dag/model';
import { requiredDepth, tensorizeInto, zeroDag } from '@dag/tensorize';
import { batchOf, trainingBatch, type Batch, type StreamConfig } from '../src/predictor/stream.js';

/** The same targets the long way: every prefix by itself is completed, parsed, normalised and tensorized. */
function targetsOfEach({ texts, shape: [B, T] }: Batch, config: StreamConfig): Pick<Batch, 'valid' | 'plan'> {
  const tokens = tokenizer(config.tokenizer);
  const plan = zeroDag({ depth: config.depth, size: B * T });
  const valid = new Uint8Array(B * T);
  for (const [b, text] of texts.entries()) {
    const ids = tokens.encode(tokens.read(text)).slice(0, T);
    for (const t of ids.keys()) {
      // A character that is not whole yet says nothing.
      const typed = tokens.decode(ids.slice(0, t + 1)).replace(/\uFFFD+$/, '');
      const complete = completePrefix(typed);
      if (complete === null) continue;
      const expr = parse(complete);
      const symbols = symbolsOf(typed);
      const numbers = symbols.match(/\d+\.?\d*|\.\d+/g) ?? [];
      const isLong = numbers.some((number) => number.replace('.', '').length > config.digits);
      const isRead = !/e/i.test(symbols) && !/"(Sym|Pow)"/.test(JSON.stringify(expr));
      if (isLong || !isRead || requiredDepth(expr) > config.depth) continue;
      tensorizeInto(normalize(expr), plan, b * T + t);
      valid[b * T + t] = 1;
    }
  }
  return { valid, plan };
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
  const arrays = ({ valid, plan: { V_mag, V_sign, O, G } }: Pick<Batch, 'valid' | 'plan'>) =>
    Object.entries({ valid, V_mag, V_sign, O, G });
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

const EXAMPLES = 3_000;
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
        // In some batches numbers have more digits than the layout holds.
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
  ])(
    'of %j are masked from what is no expression of numbers on, and at a point without a digit',
    (text, valid) => {
      expect(Array.from(batchOf([text], config).valid.slice(0, text.length))).toEqual(valid);
    },
  );
});

/** Whether a text is a whole expression. */
function isWhole(text: string): boolean {
  try {
    // Throws for variables.
    evaluate(fromText(text));
    return true;
  } catch (error) {
    if (error instanceof ExprError) return false;
    throw error;
  }
}

describe('the decisions of tokens', () => {
  it.each(
    (['gpt2', 'char'] as const).flatMap((name) =>
      (name === 'char' ? (['spaced', 'compact', 'loose'] as const) : STYLES).map(
        (style) => [name, style] as const,
      ),
    ),
  )('%s, %s: make the value of every prefix, and say whether it is whole', (name, style) => {
    const batch = trainingBatch(
      {
        ...{ seed: 5, tokenizer: name, blockSize: 512, batchSize: 60, depth: 5, digits: 6 },
        data: {
          ...{ numbers: 5, maxDigits: 3, maxDecimals: 3, style, synonyms: 0.5 },
          ...{ negatedGroups: 0.3, wholeNumbers: 0 },
        },
      },
      0,
    );
    const tokens = tokenizer(name);
    const T = batch.shape[1];
    const { classes, nestings, completes } = batch.decisions;
    let [compared, whole] = [0, 0];
    batch.texts.forEach((text, b) => {
      const ids = tokens.encode(tokens.read(text));
      const [from, to] = [b * T, b * T + ids.length];
      expect(Array.from(batch.decided.subarray(from, from + T), Number)).toEqual(
        Array.from({ length: T }, (_, t) => Number(t < ids.length)),
      );
      expect(completes[to - 1]).toBe(1);
      for (let row = from; row < to; row++) {
        const prefix = tokens.decode(ids.slice(0, row - from + 1));
        // "open" may go on with "parenthesis".
        if (completes[row] !== -1 && !/\bclose parent$/.test(prefix))
          expect([prefix, completes[row] === 1]).toEqual([prefix, isWhole(prefix)]);
        if (completes[row] !== 1) continue;
        whole++;
        const records = ids.slice(0, row - from + 1).map((id) => tokens.record(id));
        const decided = {
          ...{ records, decisions: classes.slice(from, row + 1), nestings: nestings.slice(from, row + 1) },
        };
        const value = execute(decidedTensors(decided, { depth: 5, digits: 6 }))[0]!;
        expect([prefix, value]).toEqual([prefix, batch.values[row]]);
        compared++;
      }
      expect(batch.values[to - 1]).toBeCloseTo(evaluate(fromText(text)), 6);
    });
    expect([compared, whole]).toEqual([whole, compared]);
    expect(compared).toBeGreaterThan(100);
  });

  it('are those that one expects', () => {
    const texts = ['-2.5*(3 - -4)', 'What is 12 divided by (-3 plus 4)?'];
    const { shape, decisions } = batchOf(texts, {
      ...{ seed: 0, tokenizer: 'gpt2', blockSize: 64, batchSize: 2, depth: 4, digits: 4 },
      data: { numbers: 4, maxDigits: 2, maxDecimals: 1, style: 'spaced', negatedGroups: 0, wholeNumbers: 0 },
    });
    const named = texts.map((text, b) => {
      const gpt2 = tokenizer('gpt2');
      return gpt2.encode(gpt2.read(text)).map((id, t) => {
        const row = b * shape[1] + t;
        return [
          ...[gpt2.decode([id]), DECISIONS[decisions.classes[row]!]],
          ...[NESTING[decisions.nestings[row]!], decisions.completes[row]],
        ].join(' ');
      });
    });
    expect(named).toEqual([
      [
        ...['- neg 0 0', '2 none 0 -1', '. none 0 -1', '5 none 0 1', '* mul 0 0', ' ( none 1 0'],
        ...['3 none 0 0', ' - sub 0 0', ' - neg 0 0', '4 none 0 0', ') none -1 1'],
      ],
      [
        ...['What none 0 0', ' is none 0 0', ' 12 none 0 1', ' divided div 0 0', ' by none 0 0'],
        ...[' ( none 1 0', ' - neg 0 0', '3 none 0 0', ' plus add 0 0', ' 4 none 0 0', ')? none -1 1'],
      ],
    ]);
  });
});
