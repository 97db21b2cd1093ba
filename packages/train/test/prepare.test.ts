import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { tokenizer } from '@dag/model';
import { prepareText, type PrepareOptions } from '../src/language/prepare.js';
import { openTokens } from '../src/language/text-folder.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'dag-prepare-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const END_OF_TEXT = 50256;
const fails = (code: string, message: RegExp): object =>
  expect.objectContaining({ name: 'TrainError', code, message: expect.stringMatching(message) });

/** A folder of its own with these files. */
function textFolder(files: Record<string, string | Uint8Array>): string {
  const path = mkdtempSync(join(folder, 'text-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

async function prepare(inputs: string[], options: Partial<PrepareOptions> = {}) {
  const out = mkdtempSync(join(folder, 'out-'));
  const prepared = await prepareText({ inputs, out, tokenizer: 'gpt2', val: 0.1, ...options });
  const idsOf = (name: string): number[] => {
    const bytes = readFileSync(join(out, name));
    return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
  };
  return { out, prepared, train: idsOf('train.bin'), val: idsOf('val.bin') };
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('preparing text', () => {
  it('gives the files that nanoGPT makes: the last tenth is val.bin', async () => {
    const path = textFolder({ 'input.txt': 'Hello world! Hello again' });
    const { train, val, prepared, out } = await prepare([join(path, 'input.txt')]);
    // 24 characters: 21 and 3, as int(24 * 0.9) is 21. ' Hello again' is ' Hello', ' ag' and 'ain'.
    expect(train).toEqual([15496, 995, 0, 18435, 556]);
    expect(val).toEqual([391, END_OF_TEXT]);
    expect(prepared).toEqual({
      tokenizer: 'gpt2',
      vocabSize: 50_257,
      tokens: { train: train.length, val: val.length },
      sha256: { train: sha256(join(out, 'train.bin')), val: sha256(join(out, 'val.bin')) },
      unknown: 0,
      files: [{ path: join(path, 'input.txt'), bytes: 24 }],
    });
    expect(JSON.parse(readFileSync(join(out, 'meta.json'), 'utf8'))).toEqual(prepared);
    expect(readdirSync(out).toSorted()).toEqual(['meta.json', 'train.bin', 'val.bin']);
    expect([...openTokens(out, 'train', 'gpt2').read(0, train.length)]).toEqual(train);
  });

  it('takes .txt and .md files of folders by their paths, ends each document, and skips empty files', async () => {
    const path = textFolder({
      'b.md': 'second',
      'a.txt': 'first',
      'c/d.txt': 'third',
      'empty.txt': '',
      'e.json': '{}',
    });
    const last = textFolder({ 'any.dat': 'x'.repeat(100) });
    const { train, val, prepared } = await prepare([path, join(last, 'any.dat')], { val: 0.5 });
    const decoded = tokenizer('gpt2').decode([...train, ...val]);
    expect(decoded).toBe(
      ['first', 'second', 'third', 'x'.repeat(100)].map((text) => `${text}<|endoftext|>`).join(''),
    );
    expect(train.filter((id) => id === END_OF_TEXT)).toHaveLength(3);
    expect(val.filter((id) => id === END_OF_TEXT)).toHaveLength(1);
    expect(prepared.files.map(({ bytes }) => bytes)).toEqual([5, 6, 5, 100]);
  });

  it('takes each file once where links lead in circles, and files that are linked', async () => {
    const path = textFolder({ 'a/one.txt': 'first text', 'b/two.txt': 'second text' });
    symlinkSync(path, join(path, 'a', 'circle'));
    symlinkSync(path, join(path, 'circle.txt'));
    symlinkSync(join(path, 'b', 'two.txt'), join(path, 'a', 'zwei.txt'));
    const { prepared } = await prepare([path], { val: 0.5 });
    expect(prepared.files.map((file) => file.path)).toEqual(
      ['a/one.txt', 'a/zwei.txt', 'b/two.txt'].map((name) => join(path, name)),
    );
  });

  it('leaves out the byte order mark of a text', async () => {
    const path = textFolder({ 'a.txt': '\uFEFFHello world! Hello again' });
    const { train, val } = await prepare([path]);
    expect(tokenizer('gpt2').decode([...train, ...val.slice(0, -1)])).toBe('Hello world! Hello again');
  });

  it('refuses pipes and devices, which it would wait for or take for empty', async () => {
    const path = textFolder({ 'a.txt': 'some text of four words and more' });
    await promisify(execFile)('mkfifo', [join(path, 'b.txt')]);
    for (const input of [path, join(path, 'b.txt'), '/dev/zero'])
      await expect(prepare([input])).rejects.toThrow(fails('bad-input', /is a pipe or a device; write/));
  });

  it('encodes as the text as a whole is encoded, whatever is read at once', async () => {
    const unit = fc.constantFrom(
      ' ',
      '  ',
      '\n',
      '\r\n',
      'word',
      "'s",
      'é',
      '中',
      '😀',
      '12',
      '.',
      '-',
      '\u00a0',
    );
    await fc.assert(
      fc.asyncProperty(fc.string({ unit, minLength: 8, maxLength: 60 }), async (text) => {
        const path = textFolder({ 'a.txt': text });
        const { train, val } = await prepare([path], { val: 0.4 });
        const { encode, decode } = encoderOf('gpt2');
        const [head, tail] = [decode(train), decode(val.slice(0, -1))];
        expect(head + tail).toBe(text);
        expect(train).toEqual(encode(head));
        expect(val).toEqual([...encode(tail), END_OF_TEXT]);
        // No byte of the last share is in train.bin but those of a character that it begins within.
        const bytes = Buffer.byteLength(text);
        expect(Buffer.byteLength(head) - Math.floor(bytes * 0.6)).toBeGreaterThanOrEqual(0);
        expect(Buffer.byteLength(head) - Math.floor(bytes * 0.6)).toBeLessThan(4);
      }),
      { numRuns: 60 },
    );
  });

  it('reads files of several megabytes in pieces, characters across their ends too', async () => {
    const text = 'Ünïcödé: 中文 is fine, 😀.\n'.repeat(40_000);
    const path = textFolder({ 'a.txt': text });
    const done: number[] = [];
    const { train, val } = await prepare([path], { onProgress: (bytes) => done.push(bytes) });
    const tail = tokenizer('gpt2').decode(val.slice(0, -1));
    expect(text.endsWith(tail)).toBe(true);
    const head = tokenizer('gpt2').encode(text.slice(0, -tail.length));
    expect(train.length).toBe(head.length);
    expect(train.findIndex((id, i) => id !== head[i])).toBe(-1);
    expect(done.at(-1)).toBe(Buffer.byteLength(text));
    expect(new Set(done).size).toBeGreaterThan(2);
  });

  it('cuts no line breaks apart where a piece that is read ends within them', async () => {
    const piece = 2 ** 20;
    const text = `${'ab '.repeat(piece / 2).slice(0, piece - 5)}${'\n'.repeat(8)}word ${'c '.repeat(200_000)}`;
    const { train } = await prepare([textFolder({ 'a.txt': text })]);
    const whole = tokenizer('gpt2').encode(text);
    expect(train.findIndex((id, i) => id !== whole[i])).toBe(-1);
  });

  it('adds no newline to a text that ends in one after a megabyte without a blank', async () => {
    const path = textFolder({ 'a.txt': `${'x'.repeat(2 ** 20 + 1)}\n`, 'b.txt': 'y\n'.repeat(2 ** 17) });
    const { prepared } = await prepare([path], { tokenizer: 'char' });
    expect(prepared.tokens.train + prepared.tokens.val).toBe(2 ** 20 + 2 + 2 ** 18);
  });

  // A file of a page, of which there are some words: as one that is cut while it is read.
  const shortened = '/sys/kernel/mm/transparent_hugepage/enabled';
  (existsSync(shortened) ? it : it.skip)('refuses a file that is shorter than it says', async () => {
    await expect(prepare([shortened])).rejects.toThrow(fails('io', /it was truncated while it was read/));
  });

  it('is not slow in runs without a blank, of which all is kept', async () => {
    const text = `${'a'.repeat(30_000)}${'-'.repeat(30_000)}${' '.repeat(30_000)}${'中'.repeat(10_000)} end`;
    const { train, val } = await prepare([textFolder({ 'a.txt': text })]);
    expect(tokenizer('gpt2').decode([...train, ...val.slice(0, -1)])).toBe(text);
  });

  it('ends documents of characters by a newline, and counts those that it does not know', async () => {
    const path = textFolder({ 'a.txt': 'one\n', 'b.txt': 'zwei für', 'c.txt': 'x'.repeat(10) });
    const { train, val, prepared } = await prepare([path], { tokenizer: 'char', val: 0.3 });
    const { decode } = encoderOf('char');
    expect(decode([...train, ...val])).toBe(`one\nzwei f\uFFFDr\n${'x'.repeat(10)}\n`);
    expect(prepared).toMatchObject({ tokenizer: 'char', vocabSize: 100, unknown: 1 });
  });

  it('replaces what is there only where it is told to, and keeps it where it fails', async () => {
    const path = textFolder({ 'a.txt': 'some text of four words and more' });
    const { out, train } = await prepare([path]);
    await expect(prepare([path], { out })).rejects.toThrow(
      fails('busy-directory', /train\.bin exists already; .* --force/),
    );
    const bad = textFolder({
      'a.txt': Uint8Array.of(0x61, 0x62, 0xff, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69),
    });
    await expect(prepare([bad], { out, force: true })).rejects.toThrow(
      fails('bad-input', /a\.txt is not UTF-8/),
    );
    expect(readdirSync(out).toSorted()).toEqual(['meta.json', 'train.bin', 'val.bin']);
    expect(openTokens(out, 'train', 'gpt2').length).toBe(train.length);
    await prepareText({ inputs: [path], out, tokenizer: 'char', val: 0.5, force: true });
    expect(JSON.parse(readFileSync(join(out, 'meta.json'), 'utf8'))).toMatchObject({ tokenizer: 'char' });
  });

  it('replaces none of its texts, whatever their names', async () => {
    const out = textFolder({ 'train.bin': 'some text of four words and more' });
    const link = join(textFolder({}), 'linked.txt');
    symlinkSync(join(out, 'train.bin'), link);
    for (const input of [join(out, 'train.bin'), link])
      await expect(prepare([input], { out, force: true })).rejects.toThrow(
        fails('bad-input', /train\.bin is one of the texts/),
      );
    expect(readFileSync(join(out, 'train.bin'), 'utf8')).toBe('some text of four words and more');
  });

  it('says what is wrong with what it is given', async () => {
    const path = textFolder({ 'a.json': '{}', 'empty.txt': '', 'one.txt': 'a' });
    await expect(prepare([join(path, 'none.txt')])).rejects.toThrow(
      fails('io', /none\.txt cannot be read: ENOENT/),
    );
    await expect(prepare([join(path, 'empty.txt')])).rejects.toThrow(
      fails('bad-input', /empty\.txt: contains no text/),
    );
    await expect(prepare([textFolder({ 'a.json': '{}' })])).rejects.toThrow(
      fails('bad-input', /contains no text/),
    );
    await expect(prepare([path])).rejects.toThrow(fails('bad-input', /too short/));
    for (const val of [0, 1, NaN])
      await expect(prepare([path], { val })).rejects.toThrow(fails('bad-input', /above 0 and below 1/));
    await expect(prepare([join(path, 'a.json')], { out: join(path, 'one.txt', 'x') })).rejects.toThrow(
      fails('io', /cannot be written: ENOTDIR/),
    );
  });

  // With the option `recursive`, mkdir never ends there.
  (existsSync('/proc/self') ? it : it.skip)('says that a folder cannot be made', async () => {
    const path = textFolder({ 'a.txt': 'some text' });
    await expect(prepare([path], { out: '/proc/none' })).rejects.toThrow(fails('io', /cannot be written/));
  });

  it.each([
    ['a byte that no character has', [0xff, 0x61, 0x62]],
    ['a surrogate', [0xed, 0xa0, 0x80, 0x61]],
    ['a character that is not whole', [0xe4, 0xb8]],
    ['a character that the end of its line cuts', [0xe4, 0xb8, 0x0a, 0x61]],
  ])('refuses %s and says in which line', async (_, bytes) => {
    const wrong = Buffer.concat([Buffer.from('où\n'.repeat(300_000)), Uint8Array.from(bytes)]);
    const path = textFolder({ 'a.txt': wrong, 'b.txt': 'what is held out' });
    await expect(prepare([path], { val: 1e-5 })).rejects.toThrow(
      fails('bad-input', /a\.txt is not UTF-8: see line 300001;/),
    );
  });
});

function encoderOf(name: 'gpt2' | 'char') {
  const tokens = tokenizer(name);
  return {
    encode: (text: string) => tokens.encode(text),
    decode: (ids: readonly number[]) => tokens.decode(ids),
  };
}
