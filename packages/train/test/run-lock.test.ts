import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { lockRun, type RunLock } from '../src/run/lock/run-lock.js';

let root: string;
let outDir: string;
let path: string;
const held: RunLock[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-lock-'));
  outDir = join(root, 'runs', 'run');
  path = join(outDir, 'run.lock');
});
afterEach(async () => {
  for (const lock of held.splice(0)) await lock.release();
  await rm(root, { recursive: true });
});

async function lock(options: Parameters<typeof lockRun>[1] = {}): Promise<RunLock> {
  const taken = await lockRun(outDir, options);
  held.push(taken);
  return taken;
}

/** The lock as another process would have left it. */
async function lockOf(changes: object): Promise<void> {
  const own = await lock();
  const owner = { ...(JSON.parse(await readFile(path, 'utf8')) as object), id: 'other', ...changes };
  await own.release();
  await mkdir(outDir, { recursive: true });
  await writeFile(path, JSON.stringify(owner));
}

const busy = {
  code: 'busy-directory',
  message: expect.stringMatching(/in use by process \d+ on host .*another --outDir/),
};

/** Elsewhere the system does not say when a process began. */
const linuxIt = (name: string, test: () => Promise<void>): void =>
  existsSync('/proc/self/stat') ? it(name, test) : it.skip(`${name} (skipped: no /proc)`, test);

/** The state of a process, and when it began, as /proc says. */
async function statOf(pid: number): Promise<{ state: string; began: string }> {
  const [, state, began] = /\) (\S+)(?: \S+){18} (\d+) /.exec(await readFile(`/proc/${pid}/stat`, 'utf8'))!;
  return { state: state!, began: began! };
}

describe('a run', () => {
  it('owns its folder: another one is refused and told who it is, until the first one gives it back', async () => {
    const first = await lock();
    await expect(lock()).rejects.toMatchObject(busy);
    first.check();
    await first.release();
    await lock();
  });

  it('does not wait for a pipe in the place of its lock, nor take a folder for one', async () => {
    await mkdir(outDir, { recursive: true });
    for (const make of ['mkfifo', 'mkdir']) {
      execFileSync(make, [path]);
      await expect(lock()).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(
          /run\.lock cannot be written: it is not a regular file; nothing was changed/,
        ),
      });
      await rm(path, { recursive: true });
    }
  });

  it('leaves nothing of a folder that it made and wrote nothing to, and all of one that was there', async () => {
    await (await lock()).release();
    expect(await readdir(root)).toEqual([]);
    await mkdir(outDir, { recursive: true });
    await (await lock()).release();
    expect(await readdir(outDir)).toEqual([]);
  });

  it('is one of many that begin at once', async () => {
    const begun = await Promise.allSettled(Array.from({ length: 8 }, () => lock()));
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('that finds its lock taken over, or gone, says so and leaves the new one', async () => {
    const first = await lock();
    const other = JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), id: 'other' });
    await writeFile(path, other);
    const lost = {
      code: 'busy-directory',
      message: expect.stringMatching(/no longer owns .*writes nothing more/),
    };
    expect(() => first.check()).toThrow(expect.objectContaining(lost));
    await first.release();
    expect(await readFile(path, 'utf8')).toBe(other);
    await rm(path);
    expect(() => first.check()).toThrow(expect.objectContaining(lost));
  });

  it('that finds a file in the place of its folder says that this is gone', async () => {
    const log = jest.fn();
    const first = await lockRun(outDir, { log });
    await rm(outDir, { recursive: true });
    await writeFile(outDir, '');
    expect(() => first.check()).toThrow(/no longer owns .*is gone/);
    await first.release();
    expect(log).not.toHaveBeenCalled();
  });

  it('renews its lock while it is at a step', async () => {
    await lock({ beat: 20 });
    const before = (await stat(path)).mtimeMs;
    // The main thread does nothing else, as in a long step.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    expect((await stat(path)).mtimeMs).toBeGreaterThan(before);
  });
});

describe('the lock of a process that is gone', () => {
  async function exited(): Promise<number> {
    const child = spawn(process.execPath, ['-e', '0']);
    await once(child, 'close');
    return child.pid!;
  }

  it('is taken over at once on the same machine, by one of many', async () => {
    await lockOf({ pid: await exited() });
    const begun = await Promise.allSettled(Array.from({ length: 4 }, () => lock()));
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  linuxIt('is taken over though another process has its number', async () => {
    await lockOf({ pid: process.pid, began: '1' });
    await lock();
  });

  linuxIt('is taken over where its parent has not waited for it yet', async () => {
    // The shell becomes a program that waits for no child.
    const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 100']);
    try {
      const pid = Number(String(await once(parent.stdout, 'data')));
      while ((await statOf(pid)).state !== 'Z') await setTimeout(10);
      await lockOf({ pid, began: (await statOf(pid)).began });
      await lock();
    } finally {
      parent.kill('SIGKILL');
    }
  });

  it('is taken over where no one renews it: of another machine, and one that names no one', async () => {
    const options = { expiry: 200 };
    await lockOf({ machine: 'another' });
    const lines: string[] = [];
    await (await lock({ ...options, log: (line) => void lines.push(line) })).release();
    expect(lines).toEqual([expect.stringMatching(/names process \d+ on host .*: waiting up to 0\.2 s/)]);
    await mkdir(outDir, { recursive: true });
    await writeFile(path, '');
    await lock(options);
  });
});

describe('the lock of a process that lives', () => {
  it('on another machine is not taken, whatever its clock says', async () => {
    await lockOf({ machine: 'another' });
    let beat = 0;
    const timer = setInterval(() => void utimes(path, 1000 + ++beat, 1000 + beat), 20);
    try {
      await expect(lock({ expiry: 20_000 })).rejects.toMatchObject(busy);
    } finally {
      clearInterval(timer);
    }
  });

  linuxIt('that was stopped is not taken', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000); console.log(1)']);
    try {
      await once(child.stdout, 'data');
      child.kill('SIGSTOP');
      await lockOf({ pid: child.pid, began: (await statOf(child.pid!)).began });
      await expect(lock()).rejects.toMatchObject(busy);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('is waited for no longer than until a signal', async () => {
    await lockOf({ machine: 'another' });
    await expect(lock({ signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'AbortError' });
    expect(existsSync(path)).toBe(true);
  });
});
