import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { openTokens, verifyTokens } from '../src/language/text-folder.js';
import { TokenFile } from '../src/language/token-file.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'dag-tokens-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fails = (code: string, message: RegExp): object =>
  expect.objectContaining({ name: 'TrainError', code, message: expect.stringMatching(message) });

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe('a token file', () => {
  it('is uint16 little-endian, as nanoGPT writes it', () => {
    // np.array(enc.encode_ordinary('Hello world!\n') + [enc.eot_token], dtype=np.uint16).tobytes()
    const bytes = Uint8Array.of(0x88, 0x3c, 0xe3, 0x03, 0x00, 0x00, 0xc6, 0x00, 0x50, 0xc4);
    const file = new TokenFile(written('hello.bin', bytes), 50_257);
    expect(file.length).toBe(5);
    expect([...file.read(0, 5)]).toEqual([15496, 995, 0, 198, 50256]);
    file.close();
  });

  it('reads any piece of it, and nothing beyond its end', () => {
    const all = Uint16Array.from({ length: 5000 }, (_, i) => (i * 7919) % 50_257);
    const file = new TokenFile(written('any.bin', new Uint8Array(all.buffer)), 50_257);
    expect(() => file.read(4999, 2)).toThrow(
      fails('bad-input', /has 5000 tokens; cannot read 2 tokens from token 4999 on/),
    );
    fc.assert(
      fc.property(fc.nat(5200), fc.nat(300), (offset, count) => {
        if (offset + count <= all.length)
          expect(file.read(offset, count)).toEqual(all.slice(offset, offset + count));
        else
          expect(() => file.read(offset, count)).toThrow(
            fails(
              'bad-input',
              new RegExp(`any\\.bin has 5000 tokens; cannot read ${count} tokens from token ${offset} on`),
            ),
          );
      }),
    );
    file.close();
    expect(() => file.read(0, 1)).toThrow(fails('io', /any\.bin cannot be read/));
  });

  it('is refused where it is a pipe, which is not waited for', () => {
    const pipe = join(folder, 'pipe.bin');
    execFileSync('mkfifo', [pipe]);
    expect(() => new TokenFile(pipe, 10)).toThrow(fails('bad-input', /pipe\.bin is not a file/));
  });

  it('is refused where it is missing, a folder, empty or odd', () => {
    expect(() => new TokenFile(join(folder, 'none.bin'), 10)).toThrow(
      fails('io', /none\.bin cannot be read: ENOENT/),
    );
    expect(() => new TokenFile(folder, 10)).toThrow(fails('bad-input', /is not a file/));
    expect(() => new TokenFile(written('empty.bin', Uint8Array.of()), 10)).toThrow(
      fails('bad-input', /empty\.bin is empty/),
    );
    expect(() => new TokenFile(written('odd.bin', Uint8Array.of(1, 0, 2)), 10)).toThrow(
      fails('bad-input', /odd\.bin has 3 bytes, an odd number/),
    );
  });

  it('is refused where an id is not in the vocabulary, by its place', () => {
    const file = new TokenFile(written('ids.bin', Uint8Array.of(1, 0, 2, 0, 100, 0, 3, 0)), 100);
    expect([...file.read(0, 2)]).toEqual([1, 2]);
    expect(() => file.read(1, 3)).toThrow(
      fails('bad-input', /ids\.bin has the id 100 at token 2; .* below 100/),
    );
    file.close();
  });

  it('that is cut short while it is open is named', () => {
    const path = written('cut.bin', new Uint8Array(20));
    const file = new TokenFile(path, 100);
    truncateSync(path, 10);
    expect(() => file.read(0, 10)).toThrow(fails('io', /cut\.bin ends at byte 10/));
    file.close();
  });
});

describe('a folder of prepared text', () => {
  const prepared = (name: string, meta: Record<string, string>): string => {
    const path = mkdtempSync(join(folder, name));
    writeFileSync(join(path, 'train.bin'), Uint8Array.of(1, 0));
    writeFileSync(join(path, 'val.bin'), Uint8Array.of(2, 0));
    for (const [file, text] of Object.entries(meta)) writeFileSync(join(path, file), text);
    return path;
  };

  it('has a file for each split', () => {
    const path = prepared('plain', {});
    expect([...openTokens(path, 'train', 'gpt2').read(0, 1)]).toEqual([1]);
    expect([...openTokens(path, 'held-out', 'gpt2').read(0, 1)]).toEqual([2]);
    // nanoGPT writes no checksums.
    verifyTokens(path, 'gpt2');
  });

  it('is refused where it was prepared with another tokenizer, or with characters of its own', () => {
    const characters = prepared('char', { 'meta.json': '{"tokenizer":"char"}' });
    expect(openTokens(characters, 'train', 'char').length).toBe(1);
    expect(() => openTokens(characters, 'train', 'gpt2')).toThrow(
      fails(
        'bad-input',
        /prepared with the tokenizer char, the configuration has gpt2; set tokenizer to char/,
      ),
    );
    expect(() => openTokens(prepared('pkl', { 'meta.pkl': '' }), 'train', 'char')).toThrow(
      fails('bad-input', /meta\.pkl.*dag prepare/s),
    );
    expect(() => openTokens(prepared('bad', { 'meta.json': '{}' }), 'train', 'char')).toThrow(
      fails('bad-input', /meta\.json is not a meta\.json of dag prepare/),
    );
    const pipe = prepared('pipe', {});
    execFileSync('mkfifo', [join(pipe, 'meta.json')]);
    expect(() => openTokens(pipe, 'train', 'char')).toThrow(
      fails('bad-input', /meta\.json is not a meta\.json of dag prepare/),
    );
  });

  describe('with what dag prepare wrote of it', () => {
    const bytesOf = (ids: readonly number[]): Uint8Array => new Uint8Array(Uint16Array.from(ids).buffer);
    const sha256 = (ids: readonly number[]): string =>
      createHash('sha256').update(bytesOf(ids)).digest('hex');
    /** A folder prepared with the first two, in which stand the last two. */
    const folderOf = (
      train: number[],
      val: number[],
      standing: { train: number[]; val: number[] },
    ): string => {
      const meta = {
        tokenizer: 'char',
        tokens: { train: train.length, val: val.length },
        sha256: { train: sha256(train), val: sha256(val) },
      };
      const path = prepared('meta', { 'meta.json': `\uFEFF${JSON.stringify(meta)}` });
      writeFileSync(join(path, 'train.bin'), bytesOf(standing.train));
      writeFileSync(join(path, 'val.bin'), bytesOf(standing.val));
      return path;
    };
    const [train, val] = [
      [1, 2, 3, 4],
      [5, 6],
    ];

    it('is taken as it was written', () => {
      const path = folderOf(train, val, { train, val });
      verifyTokens(path, 'char');
      expect([...openTokens(path, 'held-out', 'char').read(0, 2)]).toEqual(val);
    });

    it('is refused where a file was cut, however often it is asked for', () => {
      const path = folderOf(train, val, { train: [1, 2], val });
      for (let i = 0; i < 2; i++)
        expect(() => openTokens(path, 'train', 'char')).toThrow(
          fails('bad-input', /train\.bin has 2 tokens, meta\.json says 4: it was truncated or replaced/),
        );
    });

    it('is refused where its files were swapped', () => {
      const path = folderOf(train, val, { train: val, val: train });
      expect(() => openTokens(path, 'held-out', 'char')).toThrow(fails('bad-input', /val\.bin has 4 tokens/));
    });

    it('is refused where a file of the same size is another', () => {
      const path = folderOf(train, val, { train: [1, 2, 3, 5], val });
      expect(() => verifyTokens(path, 'char')).toThrow(
        fails('bad-input', /train\.bin does not have the checksum/),
      );
    });
  });
});
