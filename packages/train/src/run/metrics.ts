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
import { makeFolder } from '../files/make-folder.js';
import { requireRegular } from '../files/regular-file.js';
import { systemError } from '../files/system-error.js';

/** A line of the metrics file. A number that is not finite is written as null. */
export interface MetricsRecord {
  readonly step: number;
  readonly [name: string]: unknown;
}

export interface Metrics {
  /** Writes a line. When the call returns, the line survives a crash of this process. */
  append(record: MetricsRecord): void;
  /**
   * Drops the lines of steps after `step`, which a resumed run writes again, and an incomplete last line. Other damaged
   * lines stay, with a warning.
   */
  truncateAfter(step: number, warn: (message: string) => void): void;
  close(): void;
}

const record = z.looseObject({ step: z.number() });

/**
 * Opens a file of JSON lines `{ step, … }` for appending; creates it and its folder if missing.
 * @throws TrainError `io` if the system refuses; the methods throw the same.
 */
export function openMetrics(path: string): Metrics {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw systemError(`metrics ${path}`, error);
    }
  };
  const openToAppend = (): number =>
    guarded(() => {
      requireRegular(path);
      return openSync(path, 'a+');
    });
  guarded(() => makeFolder(dirname(path)));
  let file = openToAppend();
  /** Whether the file at `path` is no longer the open one: it was deleted or renamed. If its folder is gone, the run reports that elsewhere. */
  const isReplaced = (): boolean =>
    guarded(
      () =>
        statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(file).ino && existsSync(dirname(path)),
    );
  return {
    // Not `writeSync`: on a nearly full disk it writes part of the line without an error.
    append: (record) => {
      if (isReplaced()) {
        guarded(() => closeSync(file));
        file = openToAppend();
      }
      guarded(() => writeFileSync(file, `${JSON.stringify(record)}\n`));
    },
    truncateAfter: (step, warn) =>
      guarded(() => {
        // latin1 keeps one character per byte; damaged lines may not be UTF-8.
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
        // A line in the middle is dropped: write the rest to a new file and rename it into place.
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
 * Reads a metrics file: its records in order, and the number of damaged lines that were skipped. The last line is damaged
 * if a process was killed while writing it.
 * @throws TrainError `io` if the file cannot be read.
 */
export async function readMetrics(path: string): Promise<{ records: MetricsRecord[]; damaged: number }> {
  const read = async (): Promise<string> => {
    requireRegular(path);
    return readFile(path, 'utf8');
  };
  const text = await read().catch((error: unknown) => {
    throw systemError(`metrics ${path}`, error);
  });
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const records = lines.map(readLine).filter((line) => line !== null);
  return { records, damaged: lines.length - records.length };
}

/** Parses a line of the file; null if it is damaged. */
function readLine(text: string): MetricsRecord | null {
  try {
    return record.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
