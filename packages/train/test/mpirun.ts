import { spawn, spawnSync } from 'node:child_process';
import { describe } from '@jest/globals';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with all of stderr so far, whenever there is more, and with the process that was started. */
  readonly onStderr?: (stderr: string, pid: number) => void;
}

/** Runs a command to its end. */
export function run(
  command: string,
  args: readonly string[],
  { cwd, env, onStderr }: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += String(text)));
    child.stderr.on('data', (text) => {
      stderr += String(text);
      onStderr?.(stderr, child.pid!);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** One of the two implementations of MPI, as it is installed here. */
export interface Mpirun {
  readonly name: 'Open MPI' | 'MPICH';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function find(commands: readonly string[], says: RegExp): string | undefined {
  return commands.find((command) => {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    return status === 0 && says.test(stdout);
  });
}

const OPEN_MPI: Omit<Mpirun, 'command'> = {
  name: 'Open MPI',
  // More ranks than cores; and threads that make examples are not to share the one core of their rank.
  args: ['--oversubscribe', '--bind-to', 'none'],
  env: { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' },
};
const MPICH: Omit<Mpirun, 'command'> = { name: 'MPICH', args: [], env: {} };

/** Debian installs both beside each other, each with its name behind the command. */
const COMMANDS = [
  { ...OPEN_MPI, command: find(['mpirun.openmpi', 'mpirun'], /Open MPI|OpenRTE/) },
  { ...MPICH, command: find(['mpirun.mpich', 'mpirun'], /HYDRA/) },
];

/** Tests that are run by each implementation of MPI; skipped, by name, where one is not installed. */
export function mpiDescribe(tests: (mpirun: Mpirun) => void): void {
  for (const { command, ...rest } of COMMANDS)
    if (command) describe(`by ${rest.name}`, () => tests({ ...rest, command }));
    else
      describe.skip(`by ${rest.name} (skipped: its mpirun is not installed)`, () =>
        tests({ ...rest, command: '' }));
}

/** Runs `ranks` processes of Node, each with these arguments. */
export function runRanks(
  { command, args, env }: Mpirun,
  ranks: number,
  words: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const all = [...args, '-np', String(ranks), process.execPath, ...words];
  // Results do not depend on threads, and ranks here share a machine with all other tests.
  return run(command, all, { ...options, env: { DAG_NUM_THREADS: '1', ...env, ...options.env } });
}
