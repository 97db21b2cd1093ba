import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { TrainError } from './error.js';

/** A line of the metrics file. A number that is not finite is written as null. */
export interface MetricsRecord {
  readonly step: number;
  readonly [name: string]: unknown;
}

export interface Metrics {
  /** Writes a line; it is with the system when the call returns, whatever becomes of this process. */
  append(record: MetricsRecord): void;
  /** Drops the lines of later steps, and a last line that was torn: what a run that resumes at `step` writes anew. */
  truncateAfter(step: number): void;
  close(): void;
}

const record = z.looseObject({ step: z.number() });

/**
 * A file of JSON lines `{ step, … }`, opened to append; made where it is missing, with its folder.
 * @throws TrainError `io` where the system refuses, from the methods too.
 */
export function openMetrics(path: string): Metrics {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new TrainError(
        'io',
        `metrics ${path}: ${error instanceof Error ? error.message : String(error)}`,
        {
          cause: error,
        },
      );
    }
  };
  const file = guarded(() => {
    makeFolder(dirname(path));
    return openSync(path, 'a+');
  });
  return {
    // Not `writeSync`, which on a disk that is nearly full writes a part of the line and throws nothing.
    append: (record) => guarded(() => writeFileSync(file, `${JSON.stringify(record)}\n`)),
    truncateAfter: (step) =>
      guarded(() => {
        const lines = readFileSync(path, 'utf8').split(/(?<=\n)/);
        // Steps only grow from line to line, so that what is to be dropped is the end of the file.
        const kept = lines.findIndex((text) => !isUpTo(step, text));
        if (kept >= 0) ftruncateSync(file, Buffer.byteLength(lines.slice(0, kept).join('')));
      }),
    close: () => guarded(() => closeSync(file)),
  };
}

/** Not `recursive`, with which Node says ENOENT where a file system is read-only. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}

/** Whether a line is whole and tells of a step up to `step`. */
function isUpTo(step: number, text: string): boolean {
  if (!text.endsWith('\n')) return false;
  const line = readLine(text);
  return line !== null && line.step <= step;
}

/**
 * The lines of a metrics file in their order, and how many are left out because they are damaged, as the last one is
 * where a process was killed while it wrote.
 * @throws TrainError `io` where the file cannot be read.
 */
export async function readMetrics(path: string): Promise<{ records: MetricsRecord[]; damaged: number }> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new TrainError('io', `metrics ${path}: ${(error as Error).message}`, { cause: error });
  });
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const records = lines.map(readLine).filter((line) => line !== null);
  return { records, damaged: lines.length - records.length };
}

/** A line of the file; null where it is damaged. */
function readLine(text: string): MetricsRecord | null {
  try {
    return record.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
