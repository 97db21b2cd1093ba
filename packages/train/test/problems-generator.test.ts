import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { fnv1a } from '@dag/expr';
import { generateProblem, type Problem } from '../src/problems/generator.js';
import * as world from '../src/problems/world.js';

const SEED = 11;
const problems: readonly Problem[] = Array.from({ length: 5000 }, (_, index) => generateProblem(SEED, index));

/** The value of a prefix expression. Throws where it isn't one. */
function valueOf({ equation, numbers }: Problem): number {
  let at = 0;
  const next = (): number => {
    const token = equation[at++];
    if (token === undefined) throw new Error('The expression ends early.');
    if (/^[-+*/]$/.test(token)) {
      const [a, b] = [next(), next()];
      return token === '+' ? a + b : token === '-' ? a - b : token === '*' ? a * b : a / b;
    }
    const slot = /^number(\d+)$/.exec(token);
    const value = slot ? numbers[Number(slot[1])] : Number(token);
    if (value === undefined || !Number.isFinite(value)) throw new Error(`${token} is no number.`);
    return value;
  };
  const value = next();
  if (at !== equation.length) throw new Error('There is something behind the expression.');
  return value;
}

describe('generateProblem', () => {
  test('makes the same problem of the same seed and index', () => {
    for (const index of [0, 3, 4999]) expect(generateProblem(SEED, index)).toEqual(problems[index]);
    expect(generateProblem(SEED + 1, 0)).not.toEqual(problems[0]);
  });

  test('has each number once in its text, in order', () => {
    const faults = problems.filter(({ text, numbers }) => {
      const slots = text.split(' ').filter((token) => /\d/.test(token));
      return slots.join(' ') !== numbers.map((_, at) => `number${at}`).join(' ');
    });
    expect(faults).toEqual([]);
  });

  test('has one to six positive numbers and an equation of a finite positive value', () => {
    const faults = problems.filter((problem) => {
      if (problem.numbers.some((number) => !(number > 0))) return true;
      const { length } = problem.numbers;
      const value = valueOf(problem);
      return !(value > 0 && Number.isFinite(value) && length >= 1 && length <= 6);
    });
    expect(faults).toEqual([]);
  });

  test('is written in lower case with single blanks and no mark of a template', () => {
    const faults = problems.filter(
      ({ text }) =>
        !/^[a-z0-9$%',.?-]+( [a-z0-9$%',.?-]+)* \?$/.test(text) || /undefined|[.,] [.,?]/.test(text),
    );
    expect(faults).toEqual([]);
  });

  test('has problems of one to three operations, of all four, many with a number that the answer does not use', () => {
    const share = (holds: (problem: Problem) => boolean): number =>
      problems.filter(holds).length / problems.length;
    const operators = ({ equation }: Problem): string[] => equation.filter((token) => /^[-+*/]$/.test(token));
    expect(share((problem) => operators(problem).length >= 1 && operators(problem).length <= 3)).toBe(1);
    expect(share((problem) => operators(problem).length > 1)).toBeGreaterThan(0.2);
    for (const [operator, least] of [
      ['-', 0.4],
      ['+', 0.25],
      ['*', 0.15],
      ['/', 0.1],
    ] as const)
      expect(share(({ equation }) => equation.includes(operator))).toBeGreaterThan(least);
    expect(share(({ numbers }) => numbers.length === 2 || numbers.length === 3)).toBeGreaterThan(0.6);
    const unused = ({ numbers, equation }: Problem): boolean =>
      numbers.some((_, at) => !equation.includes(`number${at}`));
    expect(share(unused)).toBeGreaterThan(0.35);
  });

  test('writes hardly two texts alike, even without their names and things', () => {
    const things = world.SORTS.flatMap(({ nouns, adjectives, containers }) => [
      ...nouns,
      ...adjectives,
      ...containers,
    ]);
    const listed = [...world.NAMES.map(({ name }) => name), ...things, ...world.PLACES, ...world.GATHERINGS];
    const words = new Set(
      listed.flatMap((word) => [word, world.plural(word)]).flatMap((word) => word.split(' ')),
    );
    for (const kept of ['in', 'at', 'on', 'the', 'of', 'new']) words.delete(kept);
    const masked = problems.map(({ text }) =>
      text
        .split(' ')
        .map((token) => (words.has(token) ? '_' : token))
        .join(' ')
        .replace(/_( _)+/g, '_'),
    );
    expect(new Set(problems.map(({ text }) => text)).size).toBeGreaterThan(4990);
    expect(new Set(masked).size).toBeGreaterThan(4700);
  });

  test('knows more than 150 names and 250 things', () => {
    expect(new Set(world.NAMES.map(({ name }) => name)).size).toBeGreaterThan(150);
    expect(new Set(world.SORTS.flatMap(({ nouns }) => nouns)).size).toBeGreaterThan(250);
  });

  test('has no nine words in a row from MAWPS, ASDiv, SVAMP or GSM8K', () => {
    const known = knownNgrams();
    const found = problems.slice(0, 3000).flatMap(({ text }) => {
      const tokens = text
        .replace(/number\d/g, 'number')
        .replace("o'clock", 'oclock')
        .split(' ');
      const ngrams = tokens.map((_, at) => tokens.slice(at, at + 9)).filter(({ length }) => length === 9);
      return ngrams.map((words) => words.join(' ')).filter((ngram) => known.has(hashOf(ngram)));
    });
    expect(found).toEqual([]);
  });
});

/**
 * fixtures/problem-ngrams.bin: a quarter of the n-grams of nine tokens of the public sets, as hashes: those whose FNV-1a is
 * below 2^30. The tokens are in lower case, punctuation apart, each number as "number". The hashes stand in ascending
 * order, each as its distance from the one before in three bytes, the lowest first; 0xffffff is added to the next one.
 */
function knownNgrams(): Set<number> {
  const bytes = readFileSync(new URL('fixtures/problem-ngrams.bin', import.meta.url));
  const hashes = new Set<number>();
  let hash = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const gap = bytes.readUIntLE(at, 3);
    hash += gap;
    if (gap !== 0xffffff) hashes.add(hash);
  }
  return hashes;
}
/** 40 bits, as 32 let some strangers collide. */
const hashOf = (ngram: string): number => fnv1a(ngram) * 256 + (fnv1a(`#${ngram}`) & 255);
