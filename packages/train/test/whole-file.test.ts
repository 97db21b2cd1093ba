import { execFile, spawn } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { WholeFile, writeWhole } from '../src/whole-file.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'dag-whole-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fails = (message: RegExp): object =>
  expect.objectContaining({ name: 'TrainError', code: 'io', message: expect.stringMatching(message) });

it('is in its place when it is finished, and what it replaces until then', async () => {
  const path = join(folder, 'page.html');
  writeFileSync(path, 'old', { mode: 0o640 });
  symlinkSync(path, join(folder, 'link'));
  const file = await WholeFile.create(join(folder, 'link'));
  await file.append('new ');
  await file.append('text');
  expect(readFileSync(path, 'utf8')).toBe('old');
  await file.finish();
  expect(readFileSync(path, 'utf8')).toBe('new text');
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(readdirSync(folder).sort()).toEqual(['link', 'page.html']);
  expect(process.listenerCount('SIGINT')).toBe(0);
});

it('leaves what it was to replace, and nothing else, where it cannot be written', async () => {
  const path = join(folder, 'page.html');
  writeFileSync(path, 'old');
  const file = await WholeFile.create(path);
  await file.append('new');
  await file.discard();
  expect(readdirSync(folder)).toEqual(['page.html']);
  expect(readFileSync(path, 'utf8')).toBe('old');
  await expect(writeWhole(join(folder, 'no', 'page.html'), '')).rejects.toThrow(
    fails(/no\/page\.html cannot be written: ENOENT: no such file or directory$/),
  );
  await expect(writeWhole(folder, '')).rejects.toThrow(fails(/cannot be written: it is a folder$/));
});

it('writes to a device or pipe itself', async () => {
  const exits = process.listenerCount('exit');
  await writeWhole('/dev/null', 'text');
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  await expect(writeWhole('/dev/full', 'text')).rejects.toThrow(
    fails(/\/dev\/full cannot be written: ENOSPC/),
  );
  const pipe = join(folder, 'pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  const reader = promisify(execFile)('cat', [pipe]);
  await writeWhole(pipe, 'text');
  expect((await reader).stdout).toBe('text');
  // Nothing is left to be deleted where the process ends.
  expect(process.listenerCount('exit')).toBe(exits);
});

it.each(['SIGINT', 'SIGTERM'] as const)('leaves nothing of a process that %s ends', async (signal) => {
  const code = `
    import { createJiti } from 'jiti';
    const { WholeFile } = await createJiti(${JSON.stringify(import.meta.url)}).import('../src/whole-file.ts');
    await (await WholeFile.create(${JSON.stringify(join(folder, 'a.bin'))})).append('half');
    console.log('written');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.on('exit', (_, by) => resolve(by)));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(readdirSync(folder)).toHaveLength(1);
  child.kill(signal);
  expect(await ended).toBe(signal);
  expect(readdirSync(folder)).toEqual([]);
});
