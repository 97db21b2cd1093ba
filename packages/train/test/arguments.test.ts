/** Every export, called with whatever a caller from JavaScript may give: a result, or a typed error. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import * as train from '../src/index.js';

const TYPED = /^(?:Train|Model|Expr|Executor|Tensorize)Error$/;
const WRONG: readonly (readonly unknown[])[] = [
  ...[[], [null], [5], ['x'], [{}], [[]], [Number.NaN, Number.NaN], [[null]], [() => 1]],
  ...[
    ['x', 'y'],
    [{}, {}],
    [{}, 5],
    [[5], {}],
    [[], {}, 5],
    [1, 2, 3],
    ['x', 1, new Map(), {}],
  ],
  ...[
    [{}, 'train', 0],
    [{ data: {}, model: {} }, 'held-out', -1],
    [{ data: null }, 0.5],
  ],
];
/** All but the one that waits for the launcher that it finds in the environment. */
const functions = Object.entries(train).filter(
  (entry): entry is [string, (typeof entry)[1] & ((...args: unknown[]) => unknown)] =>
    typeof entry[1] === 'function' && entry[0] !== 'openCommunicator',
);

const before = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dag-arguments-'));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

/** What the call throws; null where it throws nothing within a moment. */
async function thrownBy(call: (...args: unknown[]) => unknown, args: readonly unknown[]): Promise<unknown> {
  const isClass = /^class\b/.test(Function.prototype.toString.call(call));
  try {
    const made = isClass ? Reflect.construct(call, args) : call(...args);
    const iterator = made as { next?: () => unknown } | null;
    await Promise.race([
      typeof iterator?.next === 'function' ? iterator.next() : made,
      setTimeout(500, null, { ref: false }),
    ]);
    return null;
  } catch (error) {
    return error;
  }
}

/** An empty configuration is one of these, which would begin. */
const STARTS_A_RUN = /^train(?:LanguageModel|Problems|Task)?$/;

it.each(functions)('%s throws a typed error for arguments that are wrong', async (name, call) => {
  const isObject = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  for (const args of WRONG) {
    if (STARTS_A_RUN.test(name) && isObject(args[0])) continue;
    const error = await thrownBy(call, args);
    if (error !== null)
      expect([args, error]).toEqual([args, expect.objectContaining({ name: expect.stringMatching(TYPED) })]);
  }
});

it('says which argument is what', () => {
  const messageOf = (body: () => unknown): string => {
    try {
      body();
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  const call = (f: unknown, ...args: unknown[]) =>
    messageOf(() => (f as (...args: unknown[]) => unknown)(...args));
  expect(call(train.trainingBatch)).toBe('trainingBatch: config is an object, given undefined');
  expect(call(train.trainingBatch, { seed: 0, tokenizer: 'char' }, 0)).toBe(
    'trainingBatch: config.batchSize is a whole number from 0, given undefined',
  );
  expect(call(train.summarize, [{}, 5])).toBe('summarize: answers[1] is an object, given 5');
  expect(call(train.question, 5)).toBe('question: line is a string, given 5');
});
