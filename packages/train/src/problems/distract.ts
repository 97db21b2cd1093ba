import type { Random } from '@dag/expr';
import { problemWords, withNumbers } from '@dag/model/problems';
import { pick } from '../reading/choose.js';
import type { KnownProblem } from './problem-data.js';

/** A sentence of one number, and that number. */
export interface Fact {
  readonly text: string;
  readonly value: number;
}

const SENTENCE_END = ' . ';

/** The first sentences of problems that have one number each: they name whom they are about. */
export function firstFacts(problems: readonly KnownProblem[]): Fact[] {
  return problems.flatMap(({ text, numbers }) => {
    const end = text.indexOf(SENTENCE_END);
    const first = text.slice(0, end + SENTENCE_END.length);
    return end >= 0 && first.match(/\bnumber\d/g)?.length === 1 ? [{ text: first, value: numbers[0]! }] : [];
  });
}

/** A problem with the fact of another one before it or before its question, which its answer does not use. Null where both are of the same things. */
export function distracted(
  random: Random,
  problem: KnownProblem,
  facts: readonly Fact[],
): KnownProblem | null {
  const { text, numbers, term, answer } = problem;
  if (facts.length === 0) return null;
  const fact = pick(random, facts);
  const known = new Set(problem.words.map(({ stem }) => stem));
  if (problemWords(fact.text).some(({ stem, isPlural }) => isPlural && known.has(stem))) return null;
  const question = text.lastIndexOf(SENTENCE_END) + SENTENCE_END.length;
  // A pronoun in the question would mean the person of the sentence before it.
  const canMiddle =
    question >= SENTENCE_END.length &&
    !/\b(he|she|they|it|his|her|their|him|them)\b/.test(text.slice(question));
  const at = canMiddle && random.chance(0.4) ? question : 0;
  const index = text.slice(0, at).match(/\bnumber\d/g)?.length ?? 0;
  const moved = (i: number): number => (i >= index ? i + 1 : i);
  const shifted = (part: string): string =>
    part.replace(/\bnumber(\d)/g, (_, i: string) => `number${moved(Number(i))}`);
  const whole =
    text.slice(0, at) + fact.text.replace(/\bnumber\d/, `number${index}`) + shifted(text.slice(at));
  return {
    ...{ text: whole, words: problemWords(whole), answer },
    numbers: [...numbers.slice(0, index), fact.value, ...numbers.slice(index)],
    term: withNumbers(term, moved),
  };
}
