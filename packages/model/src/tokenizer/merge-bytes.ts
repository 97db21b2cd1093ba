/** Token ids by the key of their bytes. */
export type Ranks = Pick<ReadonlyMap<string, number>, 'get'>;

/** The key of bytes in `Ranks`: a string with one character a byte. */
export function keyOf(bytes: Uint8Array): string {
  let key = '';
  for (let i = 0; i < bytes.length; i++) key += String.fromCharCode(bytes[i]!);
  return key;
}

/**
 * Byte-pair encoding of one piece: merges the neighbours whose token has the lowest id, the leftmost first, until no neighbours
 * form a token. A priority queue makes that n·log n steps for n bytes. Searching the lowest pair before each merge takes n²,
 * a minute for a text that is one long word.
 */
export function mergeBytes(bytes: Uint8Array, ranks: Ranks): number[] {
  const n = bytes.length;
  const text = keyOf(bytes);
  /** For each byte that begins a part, the end of that part and the begin of the part before it. */
  const end = Int32Array.from({ length: n }, (_, i) => i + 1);
  const before = Int32Array.from({ length: n }, (_, i) => i - 1);
  const queue = new PairQueue();
  /** The id of the token that the part at `from` and the next part form; undefined where they form none. */
  const together = (from: number): number | undefined =>
    end[from]! < n ? ranks.get(text.slice(from, end[end[from]!])) : undefined;
  const offer = (from: number): void => {
    const rank = together(from);
    if (rank !== undefined) queue.add(rank, from);
  };
  for (let i = 0; i < n; i++) offer(i);
  for (let pair = queue.take(); pair !== null; pair = queue.take()) {
    const { rank, from } = pair;
    // Stale: one of the two parts was merged after the pair was queued.
    if (end[from] === 0 || together(from) !== rank) continue;
    const next = end[from]!;
    end[from] = end[next]!;
    end[next] = 0;
    if (end[from]! < n) before[end[from]!] = from;
    offer(from);
    if (before[from]! >= 0) offer(before[from]!);
  }
  const ids: number[] = [];
  for (let from = 0; from < n; from = end[from]!) ids.push(ranks.get(text.slice(from, end[from]))!);
  return ids;
}

/** The part at byte `from` and the next part, which form token `rank`. */
interface Pair {
  readonly rank: number;
  readonly from: number;
}

/** A binary heap of pairs, ordered by id and then from the left. */
class PairQueue {
  readonly #pairs: Pair[] = [];

  add(rank: number, from: number): void {
    const pairs = this.#pairs;
    let at = pairs.push({ rank, from }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(pairs[at]!, pairs[parent]!)) break;
      [pairs[at], pairs[parent]] = [pairs[parent]!, pairs[at]!];
      at = parent;
    }
  }

  take(): Pair | null {
    const pairs = this.#pairs;
    const first = pairs[0];
    const last = pairs.pop();
    if (first === undefined || last === undefined) return null;
    if (pairs.length === 0) return first;
    pairs[0] = last;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < pairs.length && isBefore(pairs[left]!, pairs[least]!)) least = left;
      if (right < pairs.length && isBefore(pairs[right]!, pairs[least]!)) least = right;
      if (least === at) return first;
      [pairs[at], pairs[least]] = [pairs[least]!, pairs[at]!];
      at = least;
    }
  }
}

const isBefore = (a: Pair, b: Pair): boolean => a.rank < b.rank || (a.rank === b.rank && a.from < b.from);
