/** How many relations of two tokens attention sees. */
export const RELATIONS = 9;
const OFFSETS = [0, -1, 1, -2, 2] as const;
const FARTHEST = 40;

/**
 * (B, T, R, T) what token i sees of each other token j: for each offset o of 0, −1, 1, −2 and 2, 1 where token j − o is the same one as token i; then
 * −distance / 8; then 1 where both are in one sentence; then 1 where j comes after i; then 1 where j is in the question.
 *
 * @param ids (B, T) row-major.
 * @param places (B, T) see `EncodedProblem`.
 */
export function relations(
  ids: Int32Array,
  places: Int32Array,
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
        for (let j = 0; j < T; j++) {
          const matched = j - offset;
          if (matched >= 0 && matched < T && matched !== i && row[matched] === row[i])
            related[at + r * T + j] = 1;
        }
      });
      for (let j = 0; j < T; j++) {
        related[at + 5 * T + j] = -Math.min(Math.abs(i - j), FARTHEST) / 8;
        if (ended[i] === ended[j]) related[at + 6 * T + j] = 1;
        if (j > i) related[at + 7 * T + j] = 1;
        if (places[b * T + j] === 2) related[at + 8 * T + j] = 1;
      }
    }
  }
  return related;
}
