import type { Parameters } from '@dag/model';
import type { AnnotatedText } from '../language/annotated-text.js';
import type { CalculationScores } from '../language/calculation-scores.js';
import type { StreamConfig } from '../predictor/stream.js';
import {
  decidedPrefixScore,
  prefixScore,
  type Answer,
  type PrefixReader,
  type PrefixScore,
  type Summary,
} from './evaluate.js';
import type { HeldOutQuestion, Question } from './questions.js';
import { bySeen, seenInTraining, type TrainedText } from './seen-in-training.js';

/** A model of either kind, with the stream of its training. */
export interface Subject {
  readonly stream: StreamConfig;
  /** Its weights; null on a runtime that does not show them. */
  readonly parameters: Parameters | null;
  /** Up to `count` different held-out questions. */
  questions(count: number, seed: number): HeldOutQuestion[];
  /** Answers in the order of the questions. */
  answers(questions: readonly Question[]): AsyncIterable<Answer>;
  /** What predicts plans of prefixes; null where nothing does. */
  readonly prefixes: PrefixReader | null;
  /** The texts of micro-batch `index` of its training. */
  trained(index: number): readonly TrainedText[];
  /** Of a plan predictor: why an answer may be wrong; see `PredictorModel.doubt`. */
  doubt?(answer: Answer): string | null;
  /** Of a language model: mean −ln p of the next token of held-out text; null where the configuration names none. */
  textLoss?(seed: number): Promise<number | null>;
  /** Of a language model: what it computes in texts with marked results; without texts in held-out ones, null where there are none. */
  calculations?(texts?: readonly AnnotatedText[]): Promise<CalculationScores | null>;
}

/** Answers by what training has seen of their texts in the first `texts` of its texts. */
export interface SeenScores {
  readonly texts: number;
  readonly of: number;
  readonly groups: Readonly<Record<string, Summary>>;
}

/**
 * The answers to held-out questions, apart by what a run of so many micro-batches has seen of them. null of none: a shipped model whose text is
 * not shipped does not say how many there were.
 */
export function scoresBySeen(
  { trained }: Subject,
  questions: readonly HeldOutQuestion[],
  answers: readonly Answer[],
  batches: number,
): SeenScores | null {
  if (batches === 0) return null;
  const seen = seenInTraining(batches, trained, questions);
  return { texts: seen.texts, of: seen.of, groups: bySeen(answers, seen) };
}

/** How many prefixes of held-out questions are right; null where nothing predicts plans of them. */
export async function scoreOfPrefixes(
  { stream, prefixes }: Subject,
  questions: readonly HeldOutQuestion[],
): Promise<PrefixScore | null> {
  if (!prefixes) return null;
  if (stream.tokenizer === 'words') return decidedPrefixScore(prefixes, questions);
  return prefixScore(
    prefixes,
    stream,
    questions.map(({ text }) => text),
  );
}
