import { requireArguments } from '../arguments.js';
/** Answers of similar confidence. */
export interface ReliabilityBin {
  readonly count: number;
  /** Mean confidence. */
  readonly confidence: number;
  /** Share of right answers. */
  readonly right: number;
}

/** What a model that answers only the texts of which it is surest gets wrong. */
export interface RiskAtCoverage {
  /** Share of all texts that are answered. */
  readonly coverage: number;
  /** Share of wrong answers among these. */
  readonly risk: number;
}

/** Whether confidences are the shares of right answers. Texts refused for low confidence count with what the model read. */
export interface Reliability {
  /** Number of texts that the model read: those refused for another reason than low confidence are left out. */
  readonly count: number;
  /** Expected calibration error: mean over these texts of |share of right answers − mean confidence| of their bin. */
  readonly ece: number;
  /** The bins of `BINS` of equal width that have answers, from the lowest confidence. */
  readonly bins: readonly ReliabilityBin[];
  /** For coverages in steps of 0.05, up to that of all texts that the model read. */
  readonly riskCoverage: readonly RiskAtCoverage[];
}

/** The usual number of bins of equal width (Guo et al., ICML 2017). */
export const BINS = 15;
const COVERAGE_STEPS = 20;

type Read = { readonly confidence: number; readonly right: boolean };

/** The reliability of confidences; null where no answer has one. The answers are as of `Answer`. */
export function reliability(
  answers: readonly { readonly confidence: number | null; readonly readRight: boolean | null }[],
): Reliability | null {
  requireArguments('reliability', { answers: [answers, ['an object']] });
  const read = answers.flatMap(({ confidence, readRight }): Read[] =>
    confidence === null || readRight === null ? [] : [{ confidence, right: readRight }],
  );
  if (read.length === 0) return null;
  const bins = binsOf(read);
  const error = bins.reduce(
    (sum, { count, confidence, right }) => sum + count * Math.abs(right - confidence),
    0,
  );
  return {
    count: read.length,
    ece: error / read.length,
    bins,
    riskCoverage: riskCoverage(read, answers.length),
  };
}

function binsOf(read: readonly Read[]): ReliabilityBin[] {
  const bins = Array.from({ length: BINS }, (): Read[] => []);
  for (const answer of read) bins[Math.min(BINS - 1, Math.floor(BINS * answer.confidence))]!.push(answer);
  return bins
    .filter((bin) => bin.length > 0)
    .map((bin) => ({
      count: bin.length,
      confidence: bin.reduce((sum, { confidence }) => sum + confidence, 0) / bin.length,
      right: bin.filter(({ right }) => right).length / bin.length,
    }));
}

/**
 * The risk–coverage curve (El-Yaniv & Wiener, JMLR 2010). Answers of one confidence have no order among themselves, so of those that are
 * answered the mean share is wrong.
 */
function riskCoverage(read: readonly Read[], total: number): RiskAtCoverage[] {
  const groups = new Map<number, { count: number; wrong: number }>();
  for (const { confidence, right } of [...read].sort((a, b) => b.confidence - a.confidence)) {
    const group = groups.get(confidence) ?? { count: 0, wrong: 0 };
    groups.set(confidence, { count: group.count + 1, wrong: group.wrong + Number(!right) });
  }
  const wrongOf = (answered: number): number => {
    let [left, sum] = [answered, 0];
    for (const { count, wrong } of groups.values()) {
      const taken = Math.min(left, count);
      sum += (taken / count) * wrong;
      left -= taken;
    }
    return sum;
  };
  const steps = Array.from({ length: COVERAGE_STEPS }, (_, i) =>
    Math.round(((i + 1) * total) / COVERAGE_STEPS),
  );
  const counts = [...steps.filter((n) => n > 0 && n < read.length), read.length];
  return [...new Set(counts)].map((n) => ({ coverage: n / total, risk: wrongOf(n) / n }));
}
