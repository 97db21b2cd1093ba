import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { WholeFile, writeWhole } from '../src/files/whole-file.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'dag-whole-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fails = (message: RegExp): object =>
  expect.objectContaining({ name: 'TrainError', code: 'io', message: expect.stringMatching(message) });

it('is on the disk when it takes its place', async () => {
  const handle = await open(folder);
  const sync = jest.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'sync');
  await handle.close();
  await writeWhole(join(folder, 'page.html'), 'text');
  const flushed = sync.mock.calls.length;
  sync.mockRestore();
  expect(flushed).toBe(1);
});

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

/** A process that has begun to write a file. */
async function writing(): Promise<ChildProcess> {
  const code = `
    import { createJiti } from 'jiti';
    const { WholeFile } = await createJiti(${JSON.stringify(import.meta.url)}).import('../src/files/whole-file.js');
    await (await WholeFile.create(${JSON.stringify(join(folder, 'a.bin'))})).append('half');
    console.log('written');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

async function endedBy(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  expect(await ended).toEqual([null, signal]);
}

it.each(['SIGINT', 'SIGTERM'] as const)('leaves nothing of a process that %s ends', async (signal) => {
  const child = await writing();
  expect(readdirSync(folder)).toHaveLength(1);
  await endedBy(child, signal);
  expect(readdirSync(folder)).toEqual([]);
});

it('what a killed process was writing is deleted when the next file is written, but not what others are writing', async () => {
  const killed = await writing();
  await endedBy(killed, 'SIGKILL');
  const [left] = readdirSync(folder) as [string];
  const living = await writing();
  try {
    // Nor what another machine is writing, which is left once no one has written to it for a day.
    const other = left.replace(/-\w{8}\./, '-00000000.');
    const old = left.replace(/-\w{8}\./, '-00000001.');
    for (const name of [left, other, old]) writeFileSync(join(folder, name), 'half');
    utimesSync(join(folder, old), 0, 0);
    const [own] = readdirSync(folder).filter((name) => ![left, other, old].includes(name)) as [string];
    await writeWhole(join(folder, 'b.bin'), 'whole');
    expect(readdirSync(folder).sort()).toEqual([other, own, 'b.bin'].sort());
  } finally {
    await endedBy(living, 'SIGKILL');
  }
});
