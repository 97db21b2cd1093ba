import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { readText } from '../src/utf8.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dag-utf8-'));
  path = join(folder, 'a.txt');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fails = (code: string, message: RegExp): object =>
  expect.objectContaining({ name: 'TrainError', code, message: expect.stringMatching(message) });

it('reads a text without its byte order mark', async () => {
  writeFileSync(path, '\uFEFF2 × 3\n');
  expect(await readText(path)).toBe('2 × 3\n');
});

it('refuses what is not UTF-8 by its line, and what cannot be read', async () => {
  writeFileSync(path, Uint8Array.of(0x32, 0x0a, 0xd7, 0x33));
  await expect(readText(path)).rejects.toThrow(fails('bad-input', /a\.txt is not UTF-8: see line 2;/));
  await expect(readText(join(folder, 'none'))).rejects.toThrow(fails('io', /none cannot be read: ENOENT/));
  await expect(readText(folder)).rejects.toThrow(fails('io', /cannot be read: it is a folder$/));
});
