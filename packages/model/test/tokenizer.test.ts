import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encode as encodeWhole } from 'gpt-tokenizer/encoding/r50k_base';
import { ModelError } from '../src/error.js';
import { tokenizer, type TokenizerName } from '../src/index.js';
import { TOKEN_KINDS } from '../src/tokenizer/tokenizer.js';

const gpt2 = tokenizer('gpt2');
const char = tokenizer('char');
const NAMES: TokenizerName[] = ['gpt2', 'char'];

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test('there is one tokenizer of a name, and a typed error for any other name', () => {
  expect(tokenizer('gpt2')).toBe(gpt2);
  expect(gpt2.name).toBe('gpt2');
  expect(char.name).toBe('char');
  const error = thrownBy(() => tokenizer('gpt5' as TokenizerName));
  expect(error).toBeInstanceOf(ModelError);
  expect(error).toMatchObject({ code: 'bad-config', message: expect.stringContaining('gpt5') });
});

test.each(NAMES)('%s: an id outside the vocabulary is a typed error', (name) => {
  const tokens = tokenizer(name);
  for (const id of [-1, tokens.vocabSize, 0.5, NaN, Infinity]) {
    expect(thrownBy(() => tokens.decode([0, id]))).toMatchObject({ name: 'ModelError', code: 'bad-token' });
    expect(thrownBy(() => tokens.record(id))).toMatchObject({ name: 'ModelError', code: 'bad-token' });
  }
});

test.each(NAMES)('%s: every id of the vocabulary decodes and has one record', (name) => {
  const tokens = tokenizer(name);
  const ids = Array.from({ length: tokens.vocabSize }, (_, id) => id);
  expect(ids.filter((id) => tokens.decode([id]) === '')).toEqual([]);
  expect(ids.filter((id) => tokens.record(id) !== tokens.record(id))).toEqual([]);
});

describe('gpt2', () => {
  test('gives the ids of GPT-2', () => {
    expect(gpt2.vocabSize).toBe(50257);
    // From the GPT-2 repository's encoder and its users' documentation.
    expect(gpt2.encode('Hello world')).toEqual([15496, 995]);
    expect(gpt2.encode('Hello, my dog is cute')).toEqual([15496, 11, 616, 3290, 318, 13779]);
    expect(gpt2.decode([50256])).toBe('<|endoftext|>');
  });

  test('cuts a word of any length, of which gpt-tokenizer tries all pairs again and again', () => {
    for (const [word, token] of [
      ['a', 'aaaa'],
      ['=', '='.repeat(64)],
    ] as const) {
      const ids = gpt2.encode(word.repeat(64_000));
      expect(ids.length).toBe(64_000 / token.length);
      expect(new Set(ids)).toEqual(new Set(gpt2.encode(token)));
    }
  });

  test.each(NAMES)('%s: no token is longer than it says', (name) => {
    const tokens = tokenizer(name);
    const lengths = Array.from({ length: tokens.vocabSize }, (_, id) => tokens.decode([id]).length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(tokens.longestToken);
  });

  test('gives the ids of gpt-tokenizer for any text, the second time too', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(..." \t\n0123456789.+-*/()'sdrelvé×"), maxLength: 40 }),
    );
    fc.assert(
      fc.property(text, (text) => {
        const ids = encodeWhole(text, { disallowedSpecial: new Set() });
        expect([gpt2.encode(text), gpt2.encode(text)]).toEqual([ids, ids]);
      }),
      { numRuns: 2000 },
    );
  });

  test('text that spells a special token encodes as text', () => {
    for (const text of ['<|endoftext|>', '1 + <|endoftext|> 2', '<|endoftext|><|endoftext|>']) {
      const ids = gpt2.encode(text);
      expect(ids).not.toContain(50256);
      expect(gpt2.decode(ids)).toBe(text);
    }
  });

  test('decoding is the inverse of encoding for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(gpt2.decode(gpt2.encode(text))).toBe(text);
      }),
      { numRuns: 1000 },
    );
    expect(gpt2.decode(gpt2.encode('\uFEFF1 + 2\uFEFF'))).toBe('\uFEFF1 + 2\uFEFF');
  });

  test('a lone surrogate encodes, and comes back as the replacement character', () => {
    expect(gpt2.decode(gpt2.encode('1\uD800 + 2'))).toBe('1\uFFFD + 2');
  });

  test('the first tokens of a text decode to a prefix of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 60 }), fc.nat(60), (text, count) => {
        const ids = gpt2.encode(text);
        const prefix = gpt2.decode(ids.slice(0, count));
        expect(text.startsWith(prefix)).toBe(true);
        expect(prefix + gpt2.decode(ids.slice(count))).toBe(text);
      }),
    );
  });

  test('an unfinished character at the end of one text leaves the next one alone', () => {
    const ids = gpt2.encode('🧮');
    expect(ids.length).toBeGreaterThan(1);
    expect(gpt2.decode(ids.slice(0, 1))).toBe('\uFFFD');
    expect(gpt2.decode(gpt2.encode('🧮'))).toBe('🧮');
  });

  test('records hold the digits and the point of a token, written as figures or as words', () => {
    const records = (text: string) =>
      gpt2.encode(text).map((id) => {
        const { digits, point } = gpt2.record(id);
        return [gpt2.decode([id]), { digits, point }];
      });
    const none = { digits: [], point: false };
    expect(records('2.5 * -31415')).toEqual([
      ['2', { ...none, digits: [2] }],
      ['.', { ...none, point: true }],
      ['5', { ...none, digits: [5] }],
      [' *', none],
      [' -', none],
      ['314', { ...none, digits: [3, 1, 4] }],
      ['15', { ...none, digits: [1, 5] }],
    ]);
    expect(records('minus two point zero times Nine')).toEqual([
      ['minus', none],
      [' two', { ...none, digits: [2] }],
      [' point', { ...none, point: true }],
      [' zero', { ...none, digits: [0] }],
      [' times', none],
      [' Nine', { ...none, digits: [9] }],
    ]);
  });

  test('texts are read with symbols apart, each of them a token of its own', () => {
    for (const [text, read] of [
      ['-(-2.5)*(.5 + 3)', '- ( -2.5) * ( .5 + 3)'],
      ['What is 2 times (-3 plus 4)?', 'What is 2 times ( -3 plus 4)?'],
      ['2 * (3 + 4)', '2 * (3 + 4)'],
    ] as const) {
      expect(gpt2.read(text)).toBe(read);
      expect(gpt2.read(read)).toBe(read);
    }
    for (const symbol of gpt2
      .encode(gpt2.read('((1+2)*(-3)--(-4*-(5)))/((6))'))
      .map((id) => gpt2.decode([id])))
      expect(symbol).toMatch(/^ ?(\d+|[-+*/()])$/);
  });

  test('a digit or point in words begins no number of its own', () => {
    const begins = (text: string) => gpt2.encode(text).map((id) => gpt2.record(id).begins);
    expect(begins('two point five 2 .')).toEqual([false, false, false, true, true]);
  });

  test('tokens that differ in digits or case alone are of one kind, those of expressions of kinds of their own', () => {
    const kinds = (text: string) => gpt2.encode(text).map((id) => gpt2.record(id).kind);
    expect(kinds('100 45 plus')).toEqual(kinds('200 11 Plus'));
    expect(kinds('123')).not.toEqual(kinds('12'));
    const texts =
      '0 + - * / ( ) . = ? -( ). )) (( plus minus negative times divided by over open close point What is'.split(
        ' ',
      );
    const all = texts.flatMap((text) => [...kinds(text), ...kinds(` ${text}`)]);
    const different = new Set(texts.flatMap((text) => [...gpt2.encode(text), ...gpt2.encode(` ${text}`)]));
    expect(new Set(all).size).toBe(different.size);
    for (const kind of all) expect(kind >= 0 && kind < TOKEN_KINDS && Number.isInteger(kind)).toBe(true);
  });

  test('every digit word is a single token, at the start of a text and inside one', () => {
    const words = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
    words.forEach((word, digit) => {
      for (const text of [word, ` ${word}`]) {
        const ids = gpt2.encode(text);
        expect(ids).toHaveLength(1);
        expect(gpt2.record(ids[0]!).digits).toEqual([digit]);
      }
    });
    // A word that only contains one is no number.
    expect(gpt2.record(gpt2.encode(' someone')[0]!).digits).toEqual([]);
    expect(gpt2.record(gpt2.encode(' points')[0]!).point).toBe(false);
  });

  test('digits of all the tokens of a number, one after another, are those of its text', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^-?[0-9]{1,12}(\.[0-9]{1,12})?$/), (text) => {
        const records = gpt2.encode(text).map((id) => gpt2.record(id));
        expect(records.flatMap((record) => record.digits).join('')).toBe(text.replace(/[^0-9]/g, ''));
        expect(records.some((record) => record.point)).toBe(text.includes('.'));
      }),
    );
  });
});

describe('char', () => {
  const ALPHABET = [
    ...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)),
    '\n',
    '×',
    '÷',
    '−',
  ];

  test('has 100 ids: printable ASCII, the newline, × ÷ −, and one for all else', () => {
    expect(char.vocabSize).toBe(100);
    expect(char.encode(ALPHABET.join(''))).toEqual(ALPHABET.map((_, id) => id));
  });

  test('decoding is the inverse of encoding over its alphabet, one id a character', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ALPHABET)), fc.nat(20), (letters, count) => {
        const ids = char.encode(letters.join(''));
        expect(ids).toHaveLength(letters.length);
        expect(char.decode(ids)).toBe(letters.join(''));
        expect(char.decode(ids.slice(0, count))).toBe(letters.slice(0, count).join(''));
      }),
    );
  });

  test('any other character is one unknown, whatever its length in the text', () => {
    expect(char.encode('1é🧮\t\uD800')).toEqual([17, 99, 99, 99, 99]);
    expect(char.decode([99])).toBe('\uFFFD');
  });

  test('records hold the digit or the point of a character', () => {
    const records = char.encode('-4.+e').map((id) => char.record(id));
    expect(records.map((record) => record.digits)).toEqual([[], [4], [], [], []]);
    expect(records.map((record) => record.point)).toEqual([false, false, true, false, false]);
  });
});
