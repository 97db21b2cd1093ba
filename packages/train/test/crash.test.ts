import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomStream, type Random } from '@dag/expr';
import { checkpointFolders, findCheckpoint, readCheckpoint } from '../src/checkpoints/checkpoint.js';
import { loadConfig } from '../src/config/load.js';
import { trainLanguageModel } from '../src/language/language-task.js';
import { train } from '../src/predictor/predictor-task.js';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));

const start = process.cwd();
let root: string;
/** Runs that several tests begin with. */
let kept: string;
beforeAll(async () => {
  kept = await mkdtemp(join(tmpdir(), 'dag-crash-kept-'));
});
afterAll(() => rm(kept, { recursive: true, force: true }));
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-crash-'));
  process.chdir(root);
});
afterEach(async () => {
  process.chdir(start);
  await rm(root, { recursive: true, force: true });
});

/** Runs of seconds: a model of width 8, which is evaluated and saved every few steps. */
const TINY = {
  tokenizer: 'char',
  batchSize: 4,
  logEvery: 1,
  model: { depth: 2, blockSize: 32, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0.1, digits: 3 },
  data: { maxDigits: 2, maxDecimals: 1, prefetch: 2 },
  optimizer: { warmupSteps: 3 },
  evaluation: { examples: 4, every: 7 },
  checkpoint: { every: 3, keep: 2 },
} as const;
const KINDS = ['predictor', 'language'] as const;
type Kind = (typeof KINDS)[number];

/** `TINY` as the words of a command line, with other values for some keys. */
function command(kind: Kind, options: Readonly<Record<string, string | number>>): string[] {
  const values = new Map<string, unknown>();
  const add = (section: object, prefix: string): void => {
    for (const [key, value] of Object.entries(section))
      if (typeof value === 'object') add(value as object, `${prefix}${key}.`);
      else values.set(prefix + key, value);
  };
  add({ kind, ...TINY }, '');
  if (kind === 'language') values.set('data.arithmetic', 1);
  for (const [key, value] of Object.entries(options)) values.set(key, value);
  return ['train', ...[...values].map(([key, value]) => `--${key}=${String(value)}`)];
}

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Process {
  /** Once stderr tells of its n-th step. */
  atStep(n: number, then: () => void): void;
  /** Once stderr holds a text. */
  atText(text: string, then: () => void): void;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Outcome>;
}

function launch(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] },
): Process {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += String(text)));
  let waiting: { isDue: () => boolean; then: () => void }[] = [];
  child.stderr.on('data', (text) => {
    stderr += String(text);
    const due = waiting.filter(({ isDue }) => isDue());
    waiting = waiting.filter((one) => !due.includes(one));
    for (const { then } of due) then();
  });
  const steps = (): number => stderr.match(/^step \d+\/.*\n/gm)?.length ?? 0;
  return {
    atStep: (n, then) => void waiting.push({ isDue: () => n <= steps(), then }),
    atText: (text, then) => void waiting.push({ isDue: () => stderr.includes(text), then }),
    kill: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr })),
  };
}

const dag = (args: readonly string[], cwd: string): Process => launch(process.execPath, [DAG, ...args], cwd);

/**
 * What the command does with these words, in this process, where the process is not the point: starting one takes ten times as
 * long as such a run.
 * @returns what it tells on stderr
 */
async function trains(args: readonly string[]): Promise<string> {
  let told = '';
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    told += String(text);
    return true;
  });
  const { isTTY } = process.stderr;
  process.stderr.isTTY = false;
  try {
    const options = args.slice(1).map((word) => /^--([^=]+)=(.*)$/s.exec(word)!.slice(1));
    const config = await loadConfig(undefined, Object.fromEntries(options) as Record<string, string>);
    await (config.kind === 'language' ? trainLanguageModel : train)(config);
    return told;
  } catch (error) {
    throw Object.assign(error as Error, { told });
  } finally {
    process.stderr.isTTY = isTTY;
    stderr.mockRestore();
  }
}

const made: string[] = [];

/** What `trains` makes of these words in the folder `outDir`; trained once, copied from then on. */
async function hasTrained(args: readonly string[], outDir: string): Promise<void> {
  const words = [...args, `--outDir=${outDir}`];
  const before = made.indexOf(words.join(' '));
  if (before >= 0) return cp(join(kept, String(before)), join(root, outDir), { recursive: true });
  await trains(words);
  await cp(join(root, outDir), join(kept, String(made.length)), { recursive: true });
  made.push(words.join(' '));
}

/**
 * After the lines of the steps that were taken, and nothing else, an error that says why. `Error: ` stands in it where the system
 * refused: errors of Node are of no class that Jest's tests know.
 */
async function refused(args: readonly string[], message: RegExp, steps: string[] = []): Promise<void> {
  const error = await trains(args).then(
    () => null,
    (error: Error & { told: string }) => error,
  );
  expect({ name: error?.name, message: error?.message }).toEqual({
    name: 'TrainError',
    message: expect.stringMatching(message),
  });
  const lines = error!.told.split('\n').filter((line) => line !== '' && !line.startsWith('resuming'));
  expect(lines.map((line) => /^step \d+\//.exec(line)?.[0])).toEqual(steps);
}

interface Result {
  readonly step: number;
  readonly best: readonly [step: number, score: number | null];
  readonly warnings: readonly string[];
  readonly state: string;
  readonly files: readonly (readonly [name: string, base64: string])[];
  readonly metrics: readonly { readonly step: number }[];
}

/** What a run has come to: the bits of its last checkpoint, the step of its best, its metrics but for the times. */
async function result(outDir: string): Promise<Result> {
  const warnings: string[] = [];
  const { step, files, folder } = await findCheckpoint(outDir, 'latest', (text) => warnings.push(text));
  const best = await findCheckpoint(outDir, 'best', (text) => warnings.push(text));
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  return {
    ...{ step, best: [best.step, best.best], warnings },
    state: await readFile(join(folder, 'state.json'), 'utf8'),
    files: [...files].map(([name, bytes]) => [name, Buffer.concat([bytes].flat()).toString('base64')]),
    metrics: lines.map((line) => ({ ...(JSON.parse(line) as { step: number }), stepMs: null })),
  };
}

/** Every file under a folder with its bytes. */
async function snapshot(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(file, 'base64')] as const)),
  );
}

const checkpoints = (outDir: string): Promise<Map<string, string>> => snapshot(join(outDir, 'checkpoints'));

describe('a run that is killed and resumed, again and again', () => {
  /** When a process is killed: `ms` after its start, its n-th step, or the n-th change among the checkpoints. */
  interface Moment {
    readonly after: 'start' | 'step' | 'change';
    readonly n: number;
    readonly ms: number;
  }

  /** Before there is a checkpoint. */
  const first = (startUp: number): Moment[] => [
    { after: 'start', n: 0, ms: startUp / 2 },
    { after: 'step', n: 1, ms: 0 },
  ];

  function drawMoment(random: Random, startUp: number): Moment {
    if (random.chance(0.3)) return { after: 'start', n: 0, ms: random.below(startUp * 1.2) };
    if (random.chance(0.3)) return { after: 'step', n: 1 + random.below(4), ms: random.below(12) };
    // A checkpoint is some six changes: a folder made, renamed into place, older ones renamed and deleted.
    return { after: 'change', n: 1 + random.below(9), ms: random.below(4) };
  }

  /** Runs the command until it ends or is killed. */
  async function killedAt({ after, n, ms }: Moment, args: string[], outDir: string): Promise<Outcome> {
    const running = dag(args, root);
    let timer: NodeJS.Timeout | undefined;
    const killSoon = (): void => {
      timer ??= setTimeout(() => running.kill('SIGKILL'), ms);
    };
    let changes = 0;
    const watcher = watch(join(outDir, 'checkpoints'), () => {
      if (after === 'change' && ++changes >= n) killSoon();
    });
    if (after === 'start') killSoon();
    if (after === 'step') running.atStep(n, killSoon);
    const outcome = await running.ended;
    clearTimeout(timer);
    watcher.close();
    return outcome;
  }

  it.each([
    ['predictor', 6, 28],
    // Some steps for each kill, and a last one at which no checkpoint is due.
    ['language', 2, 18],
  ] as const)(
    'ends with the bits of one that ran through: a %s, killed %d times in %d steps',
    async (kind, kills, maxSteps) => {
      const seed = Number(process.env['CRASH_SEED'] ?? Date.now());
      const random = randomStream(seed, 0);
      const args = command(kind, { maxSteps, name: 'killed' });
      const whole = join(root, 'whole');
      await mkdir(whole);
      const through = dag(args, whole);
      const began = Date.now();
      let startUp = 0;
      through.atStep(1, () => (startUp = Date.now() - began));
      expect(await through.ended).toMatchObject({ code: 0 });
      const expected = await result(join(whole, 'runs', 'killed'));

      const outDir = join(root, 'runs', 'killed');
      // Where a seed is to be tried again: CRASH_SEED.
      const log: string[] = [`seed ${seed}`];
      const next = async (): Promise<string[]> =>
        (await checkpointFolders(outDir)).length > 0 ? [...args, '--resume=true'] : args;
      let killed = 0;
      while (killed < kills) {
        await mkdir(join(outDir, 'checkpoints'), { recursive: true });
        const moment = first(startUp)[killed] ?? drawMoment(random, startUp);
        const words = await next();
        const { code, signal, stderr } = await killedAt(moment, words, outDir);
        log.push(`${words.at(-1)}, ${JSON.stringify(moment)}: ${signal ?? code}\n${stderr}`);
        expect([log, /skipped/.test(stderr)]).toEqual([log, false]);
        expect([log, signal === 'SIGKILL' || code === 0]).toEqual([log, true]);
        if (signal === 'SIGKILL') killed++;
        // After the last kill it runs to its end; where it comes there before, the next one begins.
        if (killed === kills) {
          await trains(await next());
        } else if (code !== 0) continue;
        expect([log, await result(outDir)]).toEqual([log, expected]);
        await rm(outDir, { recursive: true });
      }
    },
    600_000,
  );
});

describe('a run that gets a signal', () => {
  it.each([
    ['SIGINT', 'predictor'],
    ['SIGTERM', 'language'],
    ['SIGHUP', 'predictor'],
  ] as const)(
    'finishes the step at %s, saves, exits with 0, and prints the words that go on: a %s',
    async (signal, kind) => {
      // As npm installs it.
      const bin = join(root, 'node_modules', '.bin');
      await mkdir(bin, { recursive: true });
      await symlink(fileURLToPath(new URL('../bin/dag.js', import.meta.url)), join(bin, 'dag'));
      const args = command(kind, {
        maxSteps: 1_000_000,
        outDir: "runs/it's $HOME",
        'checkpoint.every': 1000,
      });
      const stopped = async (running: Process): Promise<{ step: number; words: string; stderr: string }> => {
        running.atStep(2, () => running.kill(signal));
        const { code, stdout, stderr } = await running.ended;
        expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
        const [, step, words] = /^stopped at step (\d+) of 1000000; resume with: (.*)$/m.exec(stdout) ?? [];
        return { step: Number(step), words: words!, stderr };
      };
      const first = await stopped(dag(args, root));
      const { folder } = await findCheckpoint(join(root, "runs/it's $HOME"), 'latest', () => undefined);
      expect(folder).toMatch(new RegExp(`step-0*${first.step}$`));
      expect(first.words).toMatch(/^npx @dag\/train train /);
      // The signal goes to the command, not to npx.
      const onPath = `${bin}:${process.env['PATH']}`;
      const second = await stopped(
        launch('sh', ['-c', first.words.replace('npx @dag/train', 'exec dag')], root, { PATH: onPath }),
      );
      expect(second.stderr).toContain(`\nstep ${first.step + 1}/1000000 `);
      expect(second.step).toBeGreaterThan(first.step);
      expect(second.words).toBe(first.words);
    },
  );
});

describe('a signal before the first step', () => {
  const stopped = { code: 130, signal: null, stdout: '' };
  const words = 'dag: stopped by SIGINT before the first step; nothing was changed\n';

  it("ends the process with the code of the signal while GPT-2's weights arrive", async () => {
    // A hub that never answers.
    const hub = createServer(() => running.kill('SIGINT'));
    await once(hub.listen(0, '127.0.0.1'), 'listening');
    const { port } = hub.address() as AddressInfo;
    const env = { HF_ENDPOINT: `http://127.0.0.1:${port}`, HF_HOME: join(root, 'cache') };
    const args = ['train', 'finetune-gpt2', '--data.text=', '--data.arithmetic=1', '--outDir=run'];
    const running = launch(process.execPath, [DAG, ...args], root, { PATH: process.env['PATH'], ...env });
    try {
      expect(await running.ended).toEqual({ ...stopped, stderr: words });
    } finally {
      hub.closeAllConnections();
      hub.close();
    }
    expect(await readdir(root)).not.toContain('run');
  });

  it('ends it while the run of another host is waited for, whose folder stays as it is', async () => {
    await mkdir(join(root, 'run'));
    await writeFile(join(root, 'run/run.lock'), '{}');
    const running = dag(command('predictor', { maxSteps: 2, outDir: 'run' }), root);
    running.atText('waiting up to 60 s', () => running.kill('SIGINT'));
    const { stderr, ...outcome } = await running.ended;
    expect(outcome).toEqual(stopped);
    expect(stderr).toMatch(new RegExp(`^run/run\\.lock names .*waiting.*\n${words}$`));
    expect(await readdir(join(root, 'run'))).toEqual(['run.lock']);
  });
});

describe('a run whose terminal is gone', () => {
  const args = command('predictor', { maxSteps: 12, outDir: 'run' });
  it.each([
    ['its reader has left', '2>&1 | head -n 1'],
    ['its disk is full', '>/dev/full 2>/dev/full'],
    ['stderr is closed', '2>&-'],
  ])('goes on to its end: %s', async (_, redirected) => {
    const words = args.map((word) => `'${word}'`).join(' ');
    await launch('sh', ['-c', `'${process.execPath}' '${DAG}' ${words} ${redirected}`], root).ended;
    const { step, metrics } = await result(join(root, 'run'));
    expect(step).toBe(12);
    expect(metrics.filter((line) => !('heldOut' in line)).map(({ step }) => step)).toEqual(
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
  });
});

describe('two runs in one folder', () => {
  const rarely = { 'checkpoint.every': 1e6, 'evaluation.every': 1e6 };
  const args = command('predictor', { maxSteps: 1_000_000, outDir: 'run', ...rarely });
  it('are one run: the second is refused and told of the first, which goes on', async () => {
    const first = dag(args, root);
    const isAtStep = (n: number): Promise<void> => new Promise((done) => first.atStep(n, done));
    await isAtStep(1);
    const inUse =
      /^run is in use by process \d+ on host .*; wait for that run, stop it, or take another --outDir/;
    await refused(args, inUse);
    await refused([...args, '--resume=true'], inUse);
    await isAtStep(4);
    first.kill('SIGKILL');
    await first.ended;
    // At once, though the lock is still there.
    await trains([...args, '--maxSteps=2']);
  });

  it('the one whose folder was taken over stops and writes nothing', async () => {
    const running = dag(args, root);
    running.atStep(2, () => void rm(join(root, 'run/run.lock')));
    const { code, stderr } = await running.ended;
    expect({ code, last: stderr.trimEnd().split('\n').at(-1) }).toEqual({
      code: 1,
      last: expect.stringMatching(
        /^dag: this run no longer owns run: .*run\.lock is gone; this process stops/,
      ),
    });
    expect(await readdir(join(root, 'run'))).toEqual(['metrics.jsonl']);
  });
});

describe('a second signal', () => {
  it('ends the process at once, also where it comes with the first one', async () => {
    const running = dag(command('predictor', { maxSteps: 1_000_000, 'checkpoint.every': 1000 }), root);
    running.atStep(1, () => {
      running.kill('SIGHUP');
      running.kill('SIGTERM');
    });
    // Which of two signals comes first is the system's choice.
    const signal = expect.stringMatching(/^SIG(HUP|TERM)$/);
    expect(await running.ended).toMatchObject({ code: null, signal });
  });

  it.each([
    ['predictor', 'SIGINT', 'SIGINT'],
    ['language', 'SIGINT', 'SIGTERM'],
  ] as const)(
    'ends the process at once during an evaluation too, which is not finished: a %s, %s, then %s',
    async (kind, first, second) => {
      const long = { maxSteps: 9, 'evaluation.every': 1, 'evaluation.examples': 3000 };
      const running = dag(command(kind, long), root);
      running.atStep(1, () => {
        running.kill(first);
        setTimeout(() => running.kill(second), 150);
      });
      const { signal, stderr } = await running.ended;
      // The line of an evaluation that was finished begins with `step 1: `.
      expect({ signal, stderr }).toEqual({
        signal: second,
        stderr: expect.stringMatching(/^step 1\/9 [^\n]*\n$/),
      });
    },
  );

  it('is not needed with --json either, which prints the words that go on beside the result', async () => {
    const args = [...command('predictor', { maxSteps: 1_000_000, 'checkpoint.every': 1000 }), '--json'];
    const running = dag(args, root);
    running.atStep(1, () => running.kill('SIGINT'));
    const { code, stdout, stderr } = await running.ended;
    expect({ code, result: JSON.parse(stdout) }).toMatchObject({ code: 0, result: { summary: null } });
    expect(stderr).toMatch(
      /\nstopped at step \d+ of 1000000; resume with: npx @dag\/train train --resume runs\/predictor --json\n$/,
    );
  });
});

describe('where the system refuses', () => {
  const args = command('predictor', { maxSteps: 12, outDir: 'disk/run', 'evaluation.every': 100 });
  const resume = '--resume=true';
  /** Room for some checkpoints of 50 KB. */
  const mount = (...options: string[]): boolean =>
    spawnSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', join(root, 'disk')]).status === 0;
  const unmount = (): void => void spawnSync('umount', [join(root, 'disk')]);

  const canMount = ((): boolean => {
    const probe = spawnSync('sh', [
      '-c',
      'd=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d; s=$?; rmdir $d; exit $s',
    ]);
    return process.getuid?.() === 0 && probe.status === 0;
  })();
  const diskIt = (name: string, test: () => Promise<void>): void =>
    canMount ? it(name, test) : it.skip(`${name} (skipped: mounting a file system takes root)`, test);

  beforeEach(() => mkdir(join(root, 'disk')));
  afterEach(unmount);

  /** Leaves `room` bytes on the disk. */
  async function fill(room: number): Promise<void> {
    const filler = join(root, 'disk', 'filler');
    await writeFile(filler, new Uint8Array(2 ** 21)).catch(() => undefined);
    await truncate(filler, (await stat(filler)).size - room);
  }

  let whole: Result;
  /** A run in `disk` that was killed after it had saved its sixth step. */
  async function half(): Promise<void> {
    await hasTrained([...args, '--checkpoint.keep=9'], 'whole');
    whole = await result(join(root, 'whole'));
    await cp(join(root, 'whole'), join(root, 'disk/run'), { recursive: true });
    for (const step of ['09', '12'])
      await rm(join(root, `disk/run/checkpoints/step-000000${step}`), { recursive: true });
  }

  async function goesOnToTheEnd(): Promise<void> {
    await trains([...args, resume]);
    expect({ ...(await result(join(root, 'disk/run'))), state: null }).toEqual({ ...whole, state: null });
  }

  diskIt(
    'a full disk harms no checkpoint while one is written, and the run goes on when there is room',
    async () => {
      mount('-o', 'size=1m');
      await half();
      const before = await checkpoints(join(root, 'disk/run'));
      // Enough for the weights, not for the moments.
      await fill(24 * 1024);
      await refused(
        [...args, resume],
        /^checkpoint disk\/run\/checkpoints\/step-00000009 cannot be written: (Error: )?ENOSPC: .*; step 6 is saved: .*continue from it with --resume/,
        ['step 7/', 'step 8/', 'step 9/'],
      );
      expect(await checkpoints(join(root, 'disk/run'))).toEqual(before);
      await rm(join(root, 'disk/filler'));
      await goesOnToTheEnd();
    },
  );

  diskIt('a full disk while metrics are written ends the run at the line that was cut', async () => {
    mount('-o', 'size=1m');
    await half();
    const before = await checkpoints(join(root, 'disk/run'));
    // For the lock.
    await fill(4096);
    // No checkpoint is due; the lines fill the page of the file that is there already.
    const { code, stderr } = await dag([...args, resume, '--maxSteps=1000', '--checkpoint.every=1000'], root)
      .ended;
    expect(code).toBe(1);
    const told = stderr.trimEnd().split('\n');
    expect(told.at(-1)).toMatch(
      /^dag: metrics disk\/run\/metrics\.jsonl: ENOSPC: .*; step 6 is saved: .*continue from it with --resume/,
    );
    expect(await checkpoints(join(root, 'disk/run'))).toEqual(before);
    // The disk took a part of the last line; the step it was of is the last that was taken.
    const metrics = await readFile(join(root, 'disk/run/metrics.jsonl'), 'utf8');
    expect(metrics).toMatch(/"[^\n]*$/);
    expect(told.at(-2)).toContain(`step ${metrics.split('\n').length}/1000 `);
    await rm(join(root, 'disk/filler'));
    await goesOnToTheEnd();
  });

  diskIt('a full disk at the beginning is told, and that nothing is saved', async () => {
    mount('-o', 'size=1m');
    await fill(0);
    await refused(
      args,
      /^.*run\.lock cannot be written: (Error: )?ENOSPC: .*; nothing was changed: .*another --outDir/,
    );
  });

  const readOnly = async (isOn: boolean): Promise<void> => {
    if (canMount) mount('-o', `remount,${isOn ? 'ro' : 'rw'}`);
    else
      for (const path of ['disk/run/metrics.jsonl', 'disk/run/checkpoints', 'disk/run', 'disk'])
        await chmod(join(root, path), isOn ? 0o555 : 0o755);
  };
  // A superuser writes to any folder whose file system lets it.
  const name = 'a read-only folder is told before any step, and its run goes on when it can be written';
  const readOnlyIt = canMount || process.getuid?.() !== 0 ? it : it.skip;
  readOnlyIt(`${name}${readOnlyIt === it ? '' : ' (skipped: root that may not mount)'}`, async () => {
    if (canMount) mount('-o', 'size=1m');
    await half();
    const before = await snapshot(join(root, 'disk/run'));
    await readOnly(true);
    try {
      await refused(
        [...args, '--outDir=disk/new'],
        /^the lock file disk\/new\/run\.lock cannot be written: (Error: )?(EROFS|EACCES): .*; nothing was changed: .*another --outDir/,
      );
      await refused(
        [...args, resume],
        /^the lock file disk\/run\/run\.lock cannot be written: (Error: )?(EROFS|EACCES): .*; nothing was changed: .*another --outDir/,
      );
    } finally {
      await readOnly(false);
    }
    expect(await snapshot(join(root, 'disk/run'))).toEqual(before);
    await goesOnToTheEnd();
  });
});

describe('a checkpoint that is not what is needed', () => {
  const FILES = ['model.safetensors', 'optimizer.safetensors', 'state.json', 'manifest.json'];
  const args = command('predictor', { maxSteps: 9, outDir: 'run' });
  const last = 'run/checkpoints/step-00000009';

  it('is named where a file is truncated, the one before it is taken, and the end is the same', async () => {
    await hasTrained(args, 'run');
    const expected = await result(join(root, 'run'));
    for (const file of FILES) {
      await truncate(join(root, last, file), 9);
      const before = await checkpoints(join(root, 'run'));
      const named = new RegExp(
        `^checkpoint ${last} is damaged: ${file} (has 9 bytes|is not JSON).*; use run instead`,
      );
      await refused([...args, `--weights=${last}`, '--outDir=other'], named);
      expect(await checkpoints(join(root, 'run'))).toEqual(before);
      const stderr = await trains([...args, '--init_from=resume']);
      expect(stderr).toContain('resuming from run/checkpoints/step-00000007\n');
      expect(stderr).toMatch(new RegExp(`^skipped: .*${last} is damaged: ${file}`));
      expect(await result(join(root, 'run'))).toEqual(expected);
    }
  });

  it('is refused where it is of another tokenizer, model or stream; nothing is harmed', async () => {
    await hasTrained(args, 'run');
    const before = await snapshot(join(root, 'run'));
    for (const [words, found] of [
      [
        [...args, '--tokenizer=gpt2'],
        'tokenizer = "char", the configuration says "gpt2"; use the settings of the checkpoint, or ',
      ],
      [[...args, '--nEmbd=16'], 'model.nEmbd = 8, the configuration says 16'],
      [[...args, '--style=words'], 'data.style = "spaced", the configuration says "words"'],
    ] as const)
      await refused([...words, '--resume=true'], new RegExp(`^${last} was trained with ${found}`));
    expect(await snapshot(join(root, 'run'))).toEqual(before);
    await trains([...args, '--resume=true', '--maxSteps=10']);
  });

  it.each([
    ['predictor', 'language'],
    ['language', 'predictor'],
  ] as const)('is refused where it is a %s and a %s is asked for', async (kind, other) => {
    await trains(command(kind, { maxSteps: 1, outDir: 'run' }));
    const before = await snapshot(join(root, 'run'));
    const asked = command(other, { maxSteps: 9, outDir: 'run' });
    const found = new RegExp(`was trained with kind = "${kind}", the configuration says "${other}"`);
    await refused([...asked, '--resume=true'], found);
    await refused([...asked, '--weights=run', '--outDir=other'], found);
    expect(await snapshot(join(root, 'run'))).toEqual(before);
  });

  it('keeps a new run out of its folder, even where all are damaged', async () => {
    await trains([...args, '--maxSteps=1']);
    await truncate(join(root, 'run/checkpoints/step-00000001/model.safetensors'), 9);
    const before = await snapshot(join(root, 'run'));
    await refused(args, /^run already holds a run .*another --outDir starts a new run/);
    const { code, stderr } = await dag([...args, '--resume=true'], root).ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^skipped: .*model\.safetensors has 9 bytes.*\ndag: no intact checkpoint in run\/checkpoints; .*another --outDir starts a new run\n$/,
      ),
    });
    expect(await snapshot(join(root, 'run'))).toEqual(before);
  });
});

describe.each(KINDS)('where a run begins: %s', (kind) => {
  const args = command(kind, { maxSteps: 12, outDir: 'whole', 'checkpoint.keep': 9 });
  const last = (outDir: string): ReturnType<typeof findCheckpoint> =>
    findCheckpoint(join(root, outDir), 'latest', () => undefined);
  const best = (outDir: string): ReturnType<typeof findCheckpoint> =>
    findCheckpoint(join(root, outDir), 'best', () => undefined);

  async function killedAtItsFirstStep(words: string[]): Promise<void> {
    const never = ['--maxSteps=1000000', '--evaluation.every=1000', '--checkpoint.every=1000'];
    const running = dag([...args, ...words, ...never], root);
    running.atStep(1, () => running.kill('SIGKILL'));
    expect(await running.ended).toMatchObject({ signal: 'SIGKILL' });
  }

  it('is the best checkpoint, also of a run that is killed at once and resumed', async () => {
    await hasTrained(args, 'whole');
    const whole = await result(join(root, 'whole'));
    await cp(join(root, 'whole'), join(root, 'run'), { recursive: true });
    await rm(join(root, 'run/checkpoints/step-00000012'), { recursive: true });
    expect([(await last('run')).step, (await best('run')).step]).toEqual([9, 7]);

    const before = await best('run');
    await killedAtItsFirstStep(['--outDir=run', '--resume=best']);
    expect([(await last('run')).step, (await best('run')).best]).toEqual([7, before.best]);
    expect((await last('run')).files).toEqual(before.files);
    const stderr = await trains([...args, '--outDir=run', '--init_from=resume']);
    expect(stderr).toContain('resuming from run/checkpoints/step-00000007\n');
    expect({ ...(await result(join(root, 'run'))), state: null }).toEqual({ ...whole, state: null });
  });

  it('with a path is a new run with its weights, also where it is killed at once and resumed', async () => {
    await hasTrained(args, 'whole');
    const before = await snapshot(join(root, 'whole'));
    const path = 'whole/checkpoints/step-00000006';
    const begun = [...args, `--weights=${path}`];
    await trains([...begun, '--outDir=through']);
    await killedAtItsFirstStep(['--outDir=new', `--weights=${path}`]);
    const from = await readCheckpoint(join(root, path));
    expect(await last('new')).toMatchObject({ step: 0, best: null });
    expect((await last('new')).files.get('model.safetensors')).toEqual(from.files.get('model.safetensors'));
    await trains([...args, '--outDir=new', '--resume=true']);
    const { files, step, state } = await last('new');
    expect(files).toEqual((await last('through')).files);
    expect(step).toBe(12);
    // It tells where the run began, and its best is of its own evaluations.
    expect(state).toMatchObject({ config: { weights: path, outDir: 'new' } });
    expect(await best('new')).toMatchObject({ best: expect.any(Number) });
    const { metrics } = await result(join(root, 'new'));
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12, 12]);
    expect(await snapshot(join(root, 'whole'))).toEqual(before);
  });
});
