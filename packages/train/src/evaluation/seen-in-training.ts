import { requireArguments } from '../arguments.js';
import { summarize, type Answer, type Summary } from './evaluate.js';
import type { HeldOutQuestion } from './questions.js';
import { skeletonOf } from './skeleton.js';

/** How many training texts are generated again at most; these take a few seconds. */
const MOST_TEXTS = 200_000;

/** Which held-out texts overlap with training texts. */
export interface SeenInTraining {
  /** The number of training texts that were generated again: the first ones. */
  readonly texts: number;
  /** The number of training texts that the run took; an estimate for language models if not all batches were generated again. */
  readonly of: number;
  /** Held-out texts that are a prefix of a training text, so that they were trained as a prefix. */
  readonly beginnings: ReadonlySet<string>;
  /** Held-out texts that have the same skeleton as a training text. */
  readonly skeletons: ReadonlySet<string>;
}

/** An expression of a training text: its tokens, and its text in the style 'compact'. */
export type TrainedText = Pick<HeldOutQuestion, 'plain' | 'ids'>;

/** A node of a trie over token ids; `text` is the held-out text that ends here. */
interface Trie {
  readonly next: Map<number, Trie>;
  text: string | null;
}

/**
 * Generates the training texts of a run again (at most about the first 200,000), and finds the held-out texts that are a prefix of one or
 * share a skeleton with one.
 * @param batches How many micro-batches the run took: `batches` of `state.json`.
 * @param textsOf The texts of micro-batch `index`: by `trainedTexts` for plan predictors, by `trainedLines` for language models.
 */
export function seenInTraining(
  batches: number,
  textsOf: (index: number) => readonly TrainedText[],
  questions: readonly HeldOutQuestion[],
): SeenInTraining {
  requireArguments('seenInTraining', {
    batches: [batches, 'a whole number from 0'],
    textsOf: [textsOf, 'a function'],
    questions: [questions, ['an object']],
  });
  const root: Trie = { next: new Map(), text: null };
  const bySkeleton = new Map<string, string[]>();
  for (const { text, plain, ids } of questions) {
    let node = root;
    for (const id of ids) {
      if (!node.next.has(id)) node.next.set(id, { next: new Map(), text: null });
      node = node.next.get(id)!;
    }
    node.text = text;
    const skeleton = skeletonOf(plain);
    bySkeleton.set(skeleton, [...(bySkeleton.get(skeleton) ?? []), text]);
  }
  const beginnings = new Set<string>();
  const skeletons = new Set<string>();
  let [made, texts] = [0, 0];
  for (; made < batches && texts < MOST_TEXTS; made++)
    for (const { plain, ids } of textsOf(made)) {
      texts++;
      for (const text of bySkeleton.get(skeletonOf(plain)) ?? []) skeletons.add(text);
      let node: Trie | undefined = root;
      for (let t = 0; node && t < ids.length; t++) {
        node = node.next.get(ids[t]!);
        if (node && node.text !== null) beginnings.add(node.text);
      }
    }
  return { texts, of: Math.round((texts * batches) / Math.max(1, made)), beginnings, skeletons };
}

/** Summaries of answers, grouped by overlap with training texts; empty groups are left out. */
export function bySeen(answers: readonly Answer[], seen: SeenInTraining): Record<string, Summary> {
  requireArguments('bySeen', {
    answers: [answers, ['an object']],
    seen: [seen, { beginnings: 'an object', skeletons: 'an object' }],
  });
  const groups = {
    'beginning seen': answers.filter(({ text }) => seen.beginnings.has(text)),
    'beginning not seen': answers.filter(({ text }) => !seen.beginnings.has(text)),
    'skeleton seen': answers.filter(({ text }) => seen.skeletons.has(text)),
    'skeleton not seen': answers.filter(({ text }) => !seen.skeletons.has(text)),
  };
  const filled = Object.entries(groups).filter(([, of]) => of.length > 0);
  return Object.fromEntries(filled.map(([name, of]) => [name, summarize(of)]));
}
