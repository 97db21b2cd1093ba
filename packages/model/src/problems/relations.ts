/** How many relations of two tokens attention sees. */
export const RELATIONS = 7;
const OFFSETS = [0, -1, 1, -2, 2] as const;
const FARTHEST = 40;

/**
 * (B, T, R, T) what token i sees of each earlier token j: for each offset o of 0, −1, 1, −2 and 2, 1 where token j + (−o) is the token i; then −distance / 8;
 * then 1 where no sentence ends from j on before i.
 *
 * @param ids (B, T) row-major.
 */
export function relations(
  ids: Int32Array,
  [B, T]: readonly [number, number],
  stops: readonly number[],
): Float32Array {
  const related = new Float32Array(B * T * RELATIONS * T);
  for (let b = 0; b < B; b++) {
    const row = ids.subarray(b * T, (b + 1) * T);
    /** How many sentences end before each token. */
    const ended = new Int32Array(T + 1);
    row.forEach((id, t) => (ended[t + 1] = ended[t]! + Number(stops.includes(id))));
    for (let i = 0; i < T; i++) {
      const at = (b * T + i) * RELATIONS * T;
      OFFSETS.forEach((offset, r) => {
        for (let j = 0; j < i; j++) {
          const matched = j - offset;
          if (matched >= 0 && matched < i && row[matched] === row[i]) related[at + r * T + j] = 1;
        }
      });
      for (let j = 0; j <= i; j++) {
        related[at + 5 * T + j] = -Math.min(i - j, FARTHEST) / 8;
        if (ended[i] === ended[j + 1]) related[at + 6 * T + j] = 1;
      }
    }
  }
  return related;
}
