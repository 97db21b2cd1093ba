import { decisionOf, NESTING, THEN, tokenizer } from '@dag/model';
import { generateFrame } from '../reading/frames.js';
import type { FrameOptions } from '../reading/symbols.js';
import type { Word } from '../reading/writer.js';
import type { DecisionTargets } from './prefix-targets.js';

/** A text as its tokenizer reads it, with what its tokens decide. */
export interface Labelled {
  readonly text: string;
  readonly ids: readonly number[];
  readonly targets: DecisionTargets;
}

const UNCOUNTED = -1;

/** Text `index` of the stream `seed` of frames, with targets for the tokens of `words`. */
export const labelledText = (options: FrameOptions): Labelled => labelled(generateFrame(options));

/** Words, with targets for their tokens. */
export function labelled(words: readonly Word[]): Labelled {
  const ids: number[] = [];
  const [classes, nestings, completes]: number[][] = [[], [], []];
  let open = 0;
  for (const word of words) {
    open += word.text === '(' ? 1 : word.text === ')' ? -1 : 0;
    // Within parentheses the readout knows by itself that a text is not whole.
    const complete = open > 0 ? null : word.complete;
    const pieces = piecesOf(word.text);
    // An operator that a number writes comes before its digits, and "timesed" begins with the token of "times"; of other words the last token knows most.
    const writes = /^(?:\d|times)/.test(word.text) ? 0 : pieces.length - 1;
    pieces.forEach((id, i) => {
      ids.push(id);
      classes!.push(word.decision === null ? UNCOUNTED : i === writes ? decisionOf(word.decision) : 0);
      nestings!.push(word.decision === null ? UNCOUNTED : i === writes ? nestingOf(word) : 0);
      completes!.push(i < pieces.length - 1 || complete === null ? UNCOUNTED : Number(complete));
    });
  }
  const text = words.map((word) => word.text).join(' ');
  const array = (values: number[] | undefined): Int32Array => Int32Array.from(values!);
  return {
    text,
    ids,
    targets: { classes: array(classes), nestings: array(nestings), completes: array(completes) },
  };
}

const nestingOf = ({ nesting }: Word): number => NESTING.indexOf(nesting === 'then' ? THEN : nesting);

const known = new Map<string, readonly number[]>();
const MOST_KNOWN = 50_000;

/** The tokens of a word. Words are encoded each by itself, as GPT-2 does it, and there are few different ones. */
function piecesOf(word: string): readonly number[] {
  const pieces = known.get(word) ?? tokenizer('words').encode(` ${word}`);
  if (known.size < MOST_KNOWN) known.set(word, pieces);
  return pieces;
}
