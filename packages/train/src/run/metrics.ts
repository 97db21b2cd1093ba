import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { TrainError } from '../error.js';
import { makeFolder } from '../files/make-folder.js';
import { requireRegular } from '../files/regular-file.js';

/** A line of the metrics file. A number that is not finite is written as null. */
export interface MetricsRecord {
  readonly step: number;
  readonly [name: string]: unknown;
}

export interface Metrics {
  /** Writes a line; it is with the system when the call returns, whatever becomes of this process. */
  append(record: MetricsRecord): void;
  /**
   * Drops the lines of later steps, and a last line that was torn: what a run that resumes at `step` writes anew. Other
   * damaged lines stay as they are, with a warning.
   */
  truncateAfter(step: number, warn: (message: string) => void): void;
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
  const openToAppend = (): number =>
    guarded(() => {
      requireRegular(path);
      return openSync(path, 'a+');
    });
  guarded(() => makeFolder(dirname(path)));
  let file = openToAppend();
  /** Whether nobody would find what is written, as the file was deleted or renamed. Where its folder is gone, its run will say so. */
  const isReplaced = (): boolean =>
    guarded(
      () =>
        statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(file).ino && existsSync(dirname(path)),
    );
  return {
    // Not `writeSync`, which on a disk that is nearly full writes a part of the line and throws nothing.
    append: (record) => {
      if (isReplaced()) {
        guarded(() => closeSync(file));
        file = openToAppend();
      }
      guarded(() => writeFileSync(file, `${JSON.stringify(record)}\n`));
    },
    truncateAfter: (step, warn) =>
      guarded(() => {
        // A character for each byte: damaged lines may be no UTF-8.
        const text = readFileSync(path, 'latin1');
        const lines = text.split(/(?<=\n)/);
        const records = lines.map((line) => readLine(Buffer.from(line, 'latin1').toString()));
        const isKept = (line: string, i: number): boolean =>
          line.endsWith('\n') && (records[i]?.step ?? step) <= step;
        const kept = lines.filter(isKept);
        const damaged = lines.filter(
          (line, i) => isKept(line, i) && line.trim() !== '' && !records[i],
        ).length;
        if (damaged > 0)
          warn(
            `metrics ${path}: ${damaged} damaged ${damaged === 1 ? 'line is' : 'lines are'} left as found`,
          );
        const whole = kept.join('');
        if (text.startsWith(whole)) return ftruncateSync(file, whole.length);
        // Where a line in the middle goes, all is written anew, beside first.
        const beside = `${path}.unfinished`;
        writeFileSync(beside, whole, 'latin1');
        renameSync(beside, path);
        closeSync(file);
        file = openToAppend();
      }),
    close: () => guarded(() => closeSync(file)),
  };
}

/**
 * The lines of a metrics file in their order, and how many are left out because they are damaged, as the last one is
 * where a process was killed while it wrote.
 * @throws TrainError `io` where the file cannot be read.
 */
export async function readMetrics(path: string): Promise<{ records: MetricsRecord[]; damaged: number }> {
  const read = async (): Promise<string> => {
    requireRegular(path);
    return readFile(path, 'utf8');
  };
  const text = await read().catch((error: unknown) => {
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
