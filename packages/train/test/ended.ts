import { spawn } from 'node:child_process';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; `interruptAt`: a text on stderr at which it gets SIGINT. */
export function ended(
  program: string,
  args: readonly string[],
  { cwd, interruptAt }: { cwd: string; interruptAt?: string | undefined },
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr, interrupted] = ['', '', false];
    child.stdout.on('data', (text) => (stdout += String(text)));
    child.stderr.on('data', (text) => {
      stderr += String(text);
      if (interruptAt === undefined || interrupted || !stderr.includes(interruptAt)) return;
      interrupted = true;
      child.kill('SIGINT');
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
