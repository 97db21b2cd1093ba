import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readText } from '../src/files/utf8.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'dag-utf8-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const fails = (code: string, message: string): object => expect.objectContaining({ code, message });

it('reads a pipe to its end', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  spawn('sh', ['-c', '{ echo 1; sleep 0.1; echo 2; } > "$0"', pipe], { stdio: 'ignore' });
  expect(await readText(pipe)).toBe('1\n2\n');
});

it('reads no more than it may, also of what has no end', async () => {
  const path = join(folder, 'text');
  writeFileSync(path, '\uFEFF1 + é');
  expect(await readText(path, 9)).toBe('1 + é');
  const tooLong = 'has more than 8 bytes, which is the limit';
  await expect(readText(path, 8)).rejects.toThrow(fails('bad-input', `${path} ${tooLong}`));
  await expect(readText('/dev/zero', 8)).rejects.toThrow(fails('bad-input', `/dev/zero ${tooLong}`));
});

it('says of what cannot be read why', async () => {
  await expect(readText(folder)).rejects.toThrow(fails('io', `${folder} cannot be read: it is a folder`));
  const none = join(folder, 'none');
  await expect(readText(none)).rejects.toThrow(
    fails('io', `${none} cannot be read: ENOENT: no such file or directory`),
  );
  const path = join(folder, 'latin1');
  writeFileSync(path, Buffer.from('1 + 2\n1 \xf7 2\n', 'latin1'));
  await expect(readText(path)).rejects.toThrow(
    expect.objectContaining({
      code: 'bad-input',
      message: expect.stringMatching(/is not UTF-8: see line 2;/),
    }),
  );
});
