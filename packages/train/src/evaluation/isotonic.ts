import { requireArguments } from '../arguments.js';
import type { Calibration } from '@dag/model';

/** Answers whose confidences are neighbours: how many they are and how many are right, and their mean confidence `raw`. */
interface Block {
  readonly count: number;
  readonly lowest: number;
  readonly highest: number;
  readonly raw: number;
  readonly right: number;
}

/**
 * Isotonic regression of right answers on confidence by pool adjacent violators (Zadrozny & Elkan, KDD 2002): the monotone map with the
 * least squared error. Each pool of answers is a knot of `Calibration`; the neighbours whose union costs the least squared error are
 * united until there are `mostKnots`. One right answer of confidence 0 and one wrong one of confidence 1 are added, so that no share of
 * a finite number of answers is 0 or 1.
 */
export function isotonicCalibration(
  answers: readonly { readonly confidence: number; readonly right: boolean }[],
  mostKnots = 16,
): Calibration {
  requireArguments('isotonicCalibration', { answers: [answers, [{ confidence: 'a number' }]] });
  const added = [
    { confidence: 0, right: true },
    { confidence: 1, right: false },
  ];
  const sorted = [...answers, ...added].sort((a, b) => a.confidence - b.confidence);
  const blocks: Block[] = [];
  for (const { confidence, right } of sorted) {
    let block = blockOf(confidence, right);
    for (;;) {
      const before = blocks.at(-1);
      if (!before || (shareOf(before) < shareOf(block) && before.highest < block.lowest)) break;
      block = united(blocks.pop()!, block);
    }
    blocks.push(block);
  }
  while (blocks.length > mostKnots) {
    const costs = blocks.slice(1).map((block, i) => costOf(blocks[i]!, block));
    const cheapest = costs.indexOf(Math.min(...costs));
    blocks.splice(cheapest, 2, united(blocks[cheapest]!, blocks[cheapest + 1]!));
  }
  return blocks.map((block) => [block.raw, shareOf(block)]);
}

const shareOf = ({ right, count }: Block): number => right / count;

const blockOf = (confidence: number, right: boolean): Block => ({
  ...{ count: 1, lowest: confidence, highest: confidence, raw: confidence, right: Number(right) },
});

function united(a: Block, b: Block): Block {
  const count = a.count + b.count;
  // Rounding must not move the mean out of the block: knots of different blocks are different.
  const raw = Math.min(b.highest, Math.max(a.lowest, a.raw + (b.count / count) * (b.raw - a.raw)));
  return { count, lowest: a.lowest, highest: b.highest, raw, right: a.right + b.right };
}

/** By how much the squared error grows where two blocks are united. */
const costOf = (a: Block, b: Block): number =>
  ((a.count * b.count) / (a.count + b.count)) * (shareOf(a) - shareOf(b)) ** 2;
