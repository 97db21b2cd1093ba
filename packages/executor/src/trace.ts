import type { Trace } from './backend.js';
import { ExecutorError } from './error.js';

/** @throws {ExecutorError} `recording` where two runs of a step differ in a kernel or a number: replays would keep one of them. */
export function checkTrace(actual: Trace, expected: Trace): void {
  const length = Math.max(actual.length, expected.length);
  for (let i = 0; i < length; i++) {
    const [now, before] = [actual[i], expected[i]];
    const isSame =
      now?.what === before?.what &&
      now?.numbers.length === before?.numbers.length &&
      now?.numbers.every((x, n) => Object.is(x, before!.numbers[n]));
    if (isSame) continue;
    const what =
      now?.what === before?.what
        ? `${now!.what} had other numbers`
        : `${now?.what ?? 'nothing'} came where ${before?.what ?? 'nothing'} did`;
    throw new ExecutorError(
      'recording',
      `recordStep: the step did something else than in the call before: ${what}; what is recorded stays the same, ` +
        'so numbers and values that change are given to the step as inputs',
    );
  }
}

/** FNV-1a (Fowler, Noll & Vo), 32 bits. */
export function hash(bytes: Uint8Array): number {
  let h = 0x811c9dc5;
  for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}
