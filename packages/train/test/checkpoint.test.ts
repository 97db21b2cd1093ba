import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  findCheckpoint,
  newestRun,
  readCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
} from '../src/checkpoint.js';

let outDir: string;
let warnings: string[];
const warn = (message: string): void => void warnings.push(message);

beforeEach(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'dag-checkpoint-'));
  warnings = [];
});
afterEach(() => rm(outDir, { recursive: true, force: true }));

const filesOf = (step: number): Map<string, Uint8Array> =>
  new Map([
    ['model.safetensors', Uint8Array.from({ length: 1000 }, (_, i) => i * step)],
    ['optimizer.safetensors', Uint8Array.from({ length: 3000 }, (_, i) => i + step)],
  ]);
const write = (step: number, keep = 2, best?: number): Promise<string> =>
  writeCheckpoint(outDir, step, filesOf(step), { step, note: 'ünï' }, { keep, best });
const folders = async (): Promise<string[]> => (await readdir(join(outDir, 'checkpoints'))).toSorted();
const folderOf = (step: number): string =>
  join(outDir, 'checkpoints', `step-${String(step).padStart(8, '0')}`);

async function flipByte(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
}

describe('a checkpoint', () => {
  test('is read as it was written', async () => {
    const folder = await write(1234, 2, 0.5);
    expect(folder).toBe(join(outDir, 'checkpoints', 'step-00001234'));
    const state = { step: 1234, note: 'ünï' };
    const checkpoint = { folder, step: 1234, best: 0.5, files: filesOf(1234), state };
    expect(await readCheckpoint(folder)).toEqual(checkpoint);
    expect((await readdir(folder)).toSorted()).toEqual([
      'manifest.json',
      'model.safetensors',
      'optimizer.safetensors',
      'state.json',
    ]);
  });

  test('has files whose bytes begin a buffer, so that typed arrays may be laid over them', async () => {
    const { files } = await readCheckpoint(await write(1));
    for (const bytes of files.values()) expect(bytes).toHaveProperty('byteOffset', 0);
  });

  test('may be moved and copied', async () => {
    const copy = join(outDir, 'my model');
    await rename(await write(7), copy);
    expect((await resolveCheckpoint(copy, warn)).step).toBe(7);
  });

  test('may hold an empty file', async () => {
    const folder = await writeCheckpoint(outDir, 1, new Map([['empty', new Uint8Array()]]), {}, { keep: 1 });
    expect((await readCheckpoint(folder)).files).toEqual(new Map([['empty', new Uint8Array()]]));
  });

  test.each(['state.json', 'manifest.json', '../x', '', '.hidden', 'a/b'])(
    'holds no file named %p',
    async (name) => {
      const written = writeCheckpoint(outDir, 1, new Map([[name, new Uint8Array(1)]]), {}, { keep: 1 });
      await expect(written).rejects.toMatchObject({ code: 'bad-input' });
    },
  );

  const FILES = ['model.safetensors', 'optimizer.safetensors', 'state.json', 'manifest.json'];
  test.each(FILES)('with a damaged %s is refused, and the one before it found', async (name) => {
    const before = await write(1);
    const sound = await write(2);
    const damages: [RegExp, (path: string) => Promise<void>][] = [
      [/is not what was written|is no JSON|does not have the fields/, (path) => flipByte(path, 10)],
      [/bytes instead of|is no JSON/, (path) => truncate(path, 9)],
      [/bytes instead of|is no JSON/, (path) => truncate(path, 0)],
      [/is missing/, (path) => rm(path)],
      [/cannot be read/, (path) => rm(path).then(() => mkdir(path))],
    ];
    for (const [problem, damage] of damages) {
      const folder = folderOf(3);
      await cp(sound, folder, { recursive: true });
      await damage(join(folder, name));
      await rename(sound, join(outDir, 'aside'));
      const refusal = { code: 'bad-checkpoint', message: expect.stringMatching(problem) };
      await expect(readCheckpoint(folder)).rejects.toMatchObject(refusal);
      await expect(resolveCheckpoint(folder, warn)).rejects.toMatchObject(refusal);

      warnings = [];
      expect((await findCheckpoint(outDir, 'latest', warn)).folder).toBe(before);
      // A damaged manifest tells no time, so that the folder is tried last, and here not at all.
      if (name !== 'manifest.json') {
        expect(warnings).toEqual([expect.stringContaining(`${folder} is damaged: ${name}`)]);
      }
      await rename(join(outDir, 'aside'), sound);
      await rm(folder, { recursive: true });
    }
  });

  test('is refused whichever byte of its manifest is flipped', async () => {
    const folder = await write(1);
    const path = join(folder, 'manifest.json');
    const { length } = await readFile(path);
    for (let at = 0; at < length; at++) {
      await flipByte(path, at);
      const read = await readCheckpoint(folder).catch((error: unknown) => error);
      expect(read).toMatchObject({ code: 'bad-checkpoint' });
      await flipByte(path, at);
    }
    expect((await readCheckpoint(folder)).step).toBe(1);
  });
});

describe('findCheckpoint', () => {
  test('finds the one written last and the one with the best score', async () => {
    await write(1, 9, 0.5);
    await write(2, 9, 0.4);
    await write(3, 9);
    expect((await findCheckpoint(outDir, 'latest', warn)).step).toBe(3);
    expect((await findCheckpoint(outDir, 'best', warn)).step).toBe(2);
    expect(warnings).toEqual([]);
  });

  test('takes the latest where none is the best, or where the best is damaged', async () => {
    await write(1);
    expect((await findCheckpoint(outDir, 'best', warn)).step).toBe(1);
    expect(warnings).toEqual([]);
    await write(2, 2, 0.5);
    await write(3);
    await truncate(join(folderOf(2), 'model.safetensors'), 9);
    expect((await findCheckpoint(outDir, 'best', warn)).step).toBe(3);
    expect(warnings).toEqual([expect.stringContaining('model.safetensors has 9 bytes instead of 1000')]);
  });

  test('says where it looked and how to train one', async () => {
    const missing = { code: 'no-checkpoint', message: expect.stringContaining(join(outDir, 'checkpoints')) };
    await expect(findCheckpoint(outDir, 'latest', warn)).rejects.toMatchObject(missing);
    await expect(findCheckpoint(outDir, 'best', warn)).rejects.toThrow(/dag train/);
    await expect(findCheckpoint(join(outDir, 'nowhere'), 'best', warn)).rejects.toMatchObject({
      code: 'no-checkpoint',
    });
  });

  test('says so where none is sound', async () => {
    await rm(join(await write(1), 'state.json'));
    await expect(findCheckpoint(outDir, 'latest', warn)).rejects.toThrow(
      /no sound checkpoint .* with another --outDir/,
    );
    expect(warnings).toHaveLength(1);
  });
});

describe('resolveCheckpoint', () => {
  test('takes a checkpoint folder or a run folder, of which it takes the best', async () => {
    const best = await write(1, 2, 0.1);
    const last = await write(2);
    expect((await resolveCheckpoint(last, warn)).step).toBe(2);
    expect((await resolveCheckpoint(`${best}/`, warn)).step).toBe(1);
    expect((await resolveCheckpoint(outDir, warn)).step).toBe(1);
    await expect(resolveCheckpoint(`${last}0`, warn)).rejects.toMatchObject({
      code: 'no-checkpoint',
      message: `${last}0 does not exist`,
    });
  });
});

describe('newestRun', () => {
  test('is the run whose sound checkpoint was written last', async () => {
    const run = (name: string, step: number): Promise<string> =>
      writeCheckpoint(join(outDir, name), step, filesOf(step), {}, { keep: 2 });
    const later = (): Promise<void> => new Promise((done) => setTimeout(done, 5));
    await expect(newestRun(outDir)).rejects.toMatchObject({ code: 'no-checkpoint' });
    await expect(newestRun(join(outDir, 'nowhere'))).rejects.toMatchObject({ code: 'no-checkpoint' });
    await run('b', 500);
    await later();
    await run('a', 100);
    await later();
    await rm(join(await run('c', 900), 'state.json'));
    await mkdir(join(outDir, 'empty'));
    await writeFile(join(outDir, 'file'), '');
    expect(await newestRun(outDir)).toBe(join(outDir, 'a'));
  });
});

describe('writeCheckpoint', () => {
  test('keeps the last ones and the best', async () => {
    for (let step = 1; step <= 6; step++)
      await write(step, 2, step === 2 || step === 3 ? 1 / step : undefined);
    expect(await folders()).toEqual(['step-00000003', 'step-00000005', 'step-00000006']);
    await write(7, 1, 0.01);
    expect(await folders()).toEqual(['step-00000007']);
  });

  test('counts as last what was written last, though its step is smaller', async () => {
    for (const step of [100, 200, 300, 150]) await write(step);
    expect(await folders()).toEqual(['step-00000150', 'step-00000300']);
    expect((await findCheckpoint(outDir, 'latest', warn)).step).toBe(150);
  });

  test('replaces a checkpoint of the same step', async () => {
    await write(1);
    await writeCheckpoint(outDir, 1, new Map(), { again: true }, { keep: 2 });
    expect(await folders()).toEqual(['step-00000001']);
    expect((await findCheckpoint(outDir, 'latest', warn)).state).toEqual({ again: true });
  });

  test('clears what killed writes left, and puts back what one was about to replace', async () => {
    await write(1);
    await rename(folderOf(1), join(outDir, 'checkpoints', 'replaced-00000001'));
    await mkdir(join(outDir, 'checkpoints', '.unfinished-x'));
    await writeFile(join(outDir, 'checkpoints', '.unfinished-x', 'model.safetensors'), 'half');
    expect((await findCheckpoint(outDir, 'latest', warn)).step).toBe(1);
    await write(2);
    expect(await folders()).toEqual(['step-00000001', 'step-00000002']);
  });

  test('tells what the system says where it cannot write', async () => {
    await writeFile(join(outDir, 'file'), '');
    const written = writeCheckpoint(join(outDir, 'file'), 1, new Map(), {}, { keep: 1 });
    await expect(written).rejects.toMatchObject({ code: 'io', message: expect.stringMatching(/ENOTDIR/) });
  });

  test('that fails in the middle harms no other checkpoint and leaves nothing', async () => {
    await write(1, 1);
    // A name longer than any file system takes fails after the other files are written, also for root.
    const files = filesOf(2).set('x'.repeat(300), new Uint8Array(1));
    const written = writeCheckpoint(outDir, 2, files, {}, { keep: 1 });
    await expect(written).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/ENAMETOOLONG/),
    });
    expect(await folders()).toEqual(['step-00000001']);
    expect((await findCheckpoint(outDir, 'latest', warn)).files).toEqual(filesOf(1));
  });

  test('loses nothing that it wrote when its process is killed', async () => {
    const writer = fileURLToPath(new URL('fixtures/write-checkpoints.ts', import.meta.url));
    const kills: string[] = [];
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, ['--import', 'jiti/register', writer, outDir], {
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        env: { PATH: process.env['PATH'] },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let written = 0;
      const lines = createInterface(child.stdout).on('line', (line) => (written = Number(line)));
      const closed = once(lines, 'close');
      await once(lines, 'line');
      const delay = Math.random() * 60;
      await new Promise((done) => setTimeout(done, delay));
      child.kill('SIGKILL');
      await closed;
      kills.push(`after ${delay.toFixed(1)} ms, step ${written}`);

      const checkpoint = await findCheckpoint(outDir, 'latest', (message) => kills.push(message));
      const { step } = checkpoint;
      // It may have been killed between the checkpoint and the line that tells of it.
      expect([kills, [written, written + 1].includes(step)]).toEqual([kills, true]);
      expect(checkpoint.state).toEqual({ step });
      expect(checkpoint.files.get('optimizer.safetensors')).toEqual(new Uint8Array(40_000).fill(step + 1));
      expect(kills).toHaveLength(round + 1);
    }
  });
});
