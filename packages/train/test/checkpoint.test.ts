import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  findCheckpoint,
  newestRun,
  readCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
} from '../src/checkpoints/checkpoint.js';
import { TrainError } from '../src/error.js';
import { readStored } from '../src/checkpoints/stored-file.js';

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

const FILES = ['model.safetensors', 'optimizer.safetensors', 'state.json', 'manifest.json'];

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

  test.each(FILES)('with a damaged %s is refused, and the one before it found', async (name) => {
    const before = await write(1);
    const sound = await write(2);
    const damages: [RegExp, (path: string) => Promise<void>][] = [
      [/has the wrong checksum|is not JSON|does not have the fields/, (path) => flipByte(path, 10)],
      [/bytes instead of|is not JSON/, (path) => truncate(path, 9)],
      [/bytes instead of|is not JSON/, (path) => truncate(path, 0)],
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
      expect(warnings).toEqual([expect.stringContaining(`${folder} is damaged: ${name}`)]);
      await rename(join(outDir, 'aside'), sound);
      await rm(folder, { recursive: true });
    }
  });

  test('is not the folder of a run, nor one that is not there: resolveCheckpoint finds it', async () => {
    const folder = await write(1);
    for (const other of [outDir, join(outDir, 'nowhere')])
      await expect(readCheckpoint(other)).rejects.toMatchObject({
        ...{ code: 'no-checkpoint', message: expect.stringContaining('resolveCheckpoint') },
      });
    expect((await resolveCheckpoint(outDir, warn)).folder).toBe(folder);
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

/** Writes a checkpoint's manifest anew, with other contents and a checksum that fits them. */
async function forgeManifest(folder: string, change: (manifest: ForgedManifest) => void): Promise<void> {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as ForgedManifest;
  delete manifest.sha256;
  change(manifest);
  const sha256 = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
  await writeFile(path, JSON.stringify({ ...manifest, sha256 }));
}
interface ForgedManifest {
  sha256?: string;
  files: Record<string, { bytes: number; sha256: string }>;
}

describe('a checkpoint that was forged', () => {
  const refused = (folder: string, problem: RegExp): Promise<void> =>
    expect(readCheckpoint(folder)).rejects.toMatchObject({
      code: 'bad-checkpoint',
      message: expect.stringMatching(problem),
    });

  test('with a state that is no JSON is refused', async () => {
    const folder = await write(1);
    const text = '{"step":';
    await writeFile(join(folder, 'state.json'), text);
    const digest = { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') };
    await forgeManifest(folder, ({ files }) => (files['state.json'] = digest));
    await refused(folder, /state\.json is not JSON/);
  });

  test('that claims more bytes than memory has is refused before any are allocated', async () => {
    const folder = await write(1);
    await forgeManifest(folder, ({ files }) => (files['model.safetensors']!.bytes = 1e15));
    await refused(folder, /model\.safetensors has 1000 bytes instead of 1000000000000000/);
    await truncate(join(folder, 'manifest.json'), 1e12);
    await refused(folder, /manifest\.json has 1000000000000 bytes, more than/);
  });

  const canMakeFifo = spawnSync('mkfifo', ['--version']).status === 0;
  const fifoIt = canMakeFifo ? test.each : test.skip.each;
  const noFifo = canMakeFifo ? '' : ' (skipped: no mkfifo)';
  fifoIt(FILES)(
    `with a FIFO or a device in place of %s is refused, and not waited for${noFifo}`,
    async (name) => {
      for (const make of [
        (path: string) => ['mkfifo', path],
        (path: string) => ['ln', '-s', '/dev/zero', path],
      ]) {
        const folder = await write(1);
        const path = join(folder, name);
        await rm(path);
        const [command, ...args] = make(path);
        spawnSync(command!, args);
        await refused(folder, new RegExp(`${name} cannot be read: it is not a regular file`));
      }
    },
  );
});

describe('a checkpoint that cannot be read', () => {
  test('is named and kept where its manifest is damaged, and is none of those that are counted', async () => {
    for (const step of [1, 2, 3]) await write(step, 3);
    await flipByte(join(folderOf(3), 'manifest.json'), 10);
    expect((await findCheckpoint(outDir, 'latest', warn)).step).toBe(2);
    expect(warnings).toEqual([expect.stringMatching(/^skipped: .*step-00000003 is damaged: manifest\.json/)]);
    await writeCheckpoint(outDir, 4, filesOf(4), {}, { keep: 1, warn });
    expect(await folders()).toEqual(['step-00000003', 'step-00000004']);
    expect(warnings[1]).toMatch(/^not deleted: .*step-00000003 is damaged: manifest\.json/);
    await flipByte(join(folderOf(3), 'manifest.json'), 10);
    expect((await readCheckpoint(folderOf(3))).step).toBe(3);
  });

  test('is no older one where the system refuses: the search ends, and nothing is deleted', async () => {
    await write(1);
    await write(2);
    // Refused to root as well.
    const path = join(folderOf(2), 'manifest.json');
    await rename(path, join(outDir, 'aside'));
    await symlink('manifest.json', path);
    const refusal = {
      code: 'io',
      message: expect.stringMatching(/manifest\.json cannot be read: .*ELOOP.*try again/),
    };
    for (const which of ['latest', 'best'] as const)
      await expect(findCheckpoint(outDir, which, warn)).rejects.toMatchObject(refusal);
    await writeCheckpoint(outDir, 3, filesOf(3), {}, { keep: 1 });
    expect(await folders()).toEqual(['step-00000002', 'step-00000003']);
  });

  test('of another run is named where the newest run is asked for', async () => {
    const run = (name: string): Promise<string> =>
      writeCheckpoint(join(outDir, name), 1, filesOf(1), {}, { keep: 2 });
    await run('a');
    await truncate(join(await run('b'), 'manifest.json'), 9);
    expect(await newestRun(outDir, warn)).toBe(join(outDir, 'a'));
    expect(warnings).toEqual([
      expect.stringMatching(/^skipped: .*b.checkpoints.step-00000001 is damaged: manifest/),
    ]);
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
      /no intact checkpoint .* with another --outDir/,
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

  test('counts as last what was written last, though the clock was put back', async () => {
    await write(2);
    const clock = jest.spyOn(Date, 'now').mockReturnValue(0);
    await write(1).finally(() => clock.mockRestore());
    expect((await findCheckpoint(outDir, 'latest', warn)).step).toBe(1);
  });

  test('changes nothing where its place is not to be taken, once it is written', async () => {
    await write(1);
    const beforeRename = (): void => {
      throw new TrainError('busy-directory', 'taken over');
    };
    const second = writeCheckpoint(outDir, 2, filesOf(2), {}, { keep: 1, beforeRename });
    await expect(second).rejects.toMatchObject({ code: 'busy-directory' });
    expect(await folders()).toEqual(['step-00000001']);
  });

  test('has all on the disk: each file, and the names in both folders', async () => {
    const file = await open(outDir);
    const sync = jest.spyOn(Object.getPrototypeOf(file) as typeof file, 'sync');
    await file.close();
    await write(1);
    const flushed = sync.mock.calls.length;
    sync.mockRestore();
    expect(flushed).toBe(FILES.length + 2);
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

  /** A mount point cannot be renamed, which fails with EBUSY. */
  const canBind = ((): boolean => {
    const bind = 'd=$(mktemp -d) && mount --bind $d $d && umount $d; s=$?; rmdir $d; exit $s';
    return process.getuid?.() === 0 && spawnSync('sh', ['-c', bind]).status === 0;
  })();
  (canBind ? test : test.skip)(
    `warns where an old checkpoint cannot be deleted, and has written the new one${canBind ? '' : ' (skipped: this user may not mount)'}`,
    async () => {
      await write(1);
      const bound = folderOf(1);
      expect(spawnSync('mount', ['--bind', bound, bound]).status).toBe(0);
      try {
        const folder = await writeCheckpoint(outDir, 2, filesOf(2), {}, { keep: 1, warn });
        expect((await readCheckpoint(folder)).step).toBe(2);
        expect(warnings).toEqual([
          expect.stringMatching(/old checkpoint in .* cannot be deleted \(EBUSY\); the run continues/),
        ]);
      } finally {
        spawnSync('umount', [bound]);
      }
      await writeCheckpoint(outDir, 3, filesOf(3), {}, { keep: 1, warn });
      expect(await folders()).toEqual(['step-00000003']);
    },
  );

  test('takes pieces one after another, which are read as one file or in pieces', async () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
    const taken: number[] = [];
    function* pieces(): Iterable<Uint8Array> {
      for (const [from, to] of [
        [0, 1],
        [1, 1],
        [1, 1000],
      ]) {
        taken.push(from!);
        yield bytes.subarray(from, to);
      }
    }
    const folder = await writeCheckpoint(outDir, 1, new Map([['file', pieces()]]), {}, { keep: 1 });
    expect(taken).toEqual([0, 1, 1]);
    expect((await readCheckpoint(folder)).files.get('file')).toEqual(bytes);
    const digest = { bytes: 1000, sha256: createHash('sha256').update(bytes).digest('hex') };
    const read = await readStored(join(folder, 'file'), digest, 300);
    expect(read).toEqual([0, 300, 600, 900].map((at) => bytes.slice(at, at + 300)));
    const other = { ...digest, sha256: digest.sha256.replace(/^./, (c) => (c === '0' ? '1' : '0')) };
    await expect(readStored(join(folder, 'file'), other, 300)).rejects.toMatchObject({
      code: 'bad-checkpoint',
    });
  });

  const shortened = '/sys/kernel/mm/transparent_hugepage/enabled';
  (existsSync(shortened) ? test : test.skip)('that is shorter than it says is damaged', async () => {
    // A file of a page, of which there are some words: as one that is cut while it is read.
    const { size } = await stat(shortened);
    const read = readStored(shortened, { bytes: size, sha256: '' });
    await expect(read).rejects.toThrow(/enabled became shorter while it was read/);
  });

  test('whose pieces end in an error leaves what was there', async () => {
    await write(1, 1);
    function* failing(): Iterable<Uint8Array> {
      yield new Uint8Array(10);
      throw new TrainError('bad-input', 'no more');
    }
    const written = writeCheckpoint(outDir, 2, new Map([['file', failing()]]), {}, { keep: 1 });
    await expect(written).rejects.toMatchObject({ code: 'bad-input' });
    expect(await folders()).toEqual(['step-00000001']);
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
