import { jest } from '@jest/globals';
import { runDag } from '../src/cli/run-dag.js';
import type { Outcome } from './ended.js';

/** Runs `dag` in this process: most commands take less time than a process takes to start. */
export async function runHere(args: readonly string[], cwd: string): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const toStdout = (text: unknown): true => ((stdout += String(text)), true);
  const toStderr = (text: unknown): true => ((stderr += String(text)), true);
  jest.spyOn(process.stdout, 'write').mockImplementation(toStdout);
  jest.spyOn(process.stderr, 'write').mockImplementation(toStderr);
  jest.spyOn(console, 'log').mockImplementation((text) => void toStdout(`${text}\n`));
  jest.spyOn(console, 'error').mockImplementation((text) => void toStderr(`${text}\n`));
  const streams = [process.stdout, process.stderr];
  const wereTerminals = streams.map(({ isTTY }) => isTTY);
  for (const stream of streams) stream.isTTY = false;
  const before = process.cwd();
  process.chdir(cwd);
  process.exitCode = 0;
  try {
    await runDag(args);
    return { code: process.exitCode, stdout, stderr };
  } finally {
    process.exitCode = 0;
    process.chdir(before);
    streams.forEach((stream, i) => (stream.isTTY = wereTerminals[i]!));
    jest.restoreAllMocks();
  }
}
