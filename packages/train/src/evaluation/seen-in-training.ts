import { streamExample, type StreamConfig } from '../predictor/stream.js';
import { summarize, type Answer, type Summary } from './evaluate.js';
import type { HeldOutQuestion } from './questions.js';
import { skeletonOf } from './skeleton.js';

/** More training texts are not made again: these take some seconds. */
const MOST_TEXTS = 200_000;

/** Parts of held-out texts that training has seen: the texts as prefixes of longer ones, and the skeletons of their expressions. */
export interface SeenInTraining {
  /** Training texts that were looked at, the first ones, of so many that the run took. */
  readonly texts: number;
  readonly of: number;
  /** Held-out texts with which a training text begins, so that they were trained as one of its prefixes. */
  readonly beginnings: ReadonlySet<string>;
  /** Held-out texts whose expression has the skeleton of a training text. */
  readonly skeletons: ReadonlySet<string>;
}

/** A node of the tree of token ids. */
interface Trie {
  readonly next: Map<number, Trie>;
  text: string | null;
}

/**
 * Makes the training texts of a run again (the first 200,000 where there are more), and finds the held-out texts that they begin with or share a
 * skeleton with.
 * @param taken How many the run took: `state.json` has its micro-batches, each of `batchSize`.
 */
export function seenInTraining(
  config: StreamConfig,
  taken: number,
  questions: readonly HeldOutQuestion[],
): SeenInTraining {
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
  const texts = Math.min(taken, MOST_TEXTS);
  for (let i = 0; i < texts; i++) {
    const { plain, ids } = streamExample(config, 'train', i);
    for (const text of bySkeleton.get(skeletonOf(plain)) ?? []) skeletons.add(text);
    let node: Trie | undefined = root;
    for (let t = 0; node && t < ids.length; t++) {
      node = node.next.get(ids[t]!);
      if (node && node.text !== null) beginnings.add(node.text);
    }
  }
  return { texts, of: taken, beginnings, skeletons };
}

/** Answers apart by what training has seen of their texts; no group that is empty. */
export function bySeen(answers: readonly Answer[], seen: SeenInTraining): Record<string, Summary> {
  const groups = {
    'beginning seen': answers.filter(({ text }) => seen.beginnings.has(text)),
    'beginning not seen': answers.filter(({ text }) => !seen.beginnings.has(text)),
    'skeleton seen': answers.filter(({ text }) => seen.skeletons.has(text)),
    'skeleton not seen': answers.filter(({ text }) => !seen.skeletons.has(text)),
  };
  const filled = Object.entries(groups).filter(([, of]) => of.length > 0);
  return Object.fromEntries(filled.map(([name, of]) => [name, summarize(of)]));
}
