import { keyOf, mergeBytes, type Ranks } from './merge-bytes.js';

/**
 * The ids, ascending, of the tokens with which byte-pair encoding finds the same ids as with all tokens wherever these are `known` ids, and
 * at least one other id in every other piece of text. These are the known tokens, all bytes, the tokens of which they are merged, and the
 * tokens that two of those merge to.
 *
 * Why they suffice: no merge crosses the border of a token that forms, so what happens between its borders is what happens to its bytes
 * alone. A token is therefore always merged of the same two parts. Until the first merge to a token that is not needed for known ones, both
 * encodings make the same merges; that merge is of two needed tokens, so its token is among the needed ones too, and stays: a larger token
 * that it became part of would be merged of other parts.
 *
 * @param tokens The bytes of all tokens, by id.
 */
export function neededTokens(
  known: readonly number[],
  tokens: readonly Uint8Array[],
  idOf: Ranks,
): readonly number[] {
  const parts = tokens.map((bytes) => partsOf(bytes, idOf));
  const needed = new Set(known);
  tokens.forEach(({ length }, id) => {
    if (length === 1) needed.add(id);
  });
  // A set goes on to the elements that are added on the way.
  for (const id of needed) for (const part of parts[id]!) needed.add(part);
  return tokens
    .map((_, id) => id)
    .filter((id) => needed.has(id) || parts[id]!.every((part) => needed.has(part)));
}

/** The two tokens of which a token is merged; none for a byte. */
function partsOf(bytes: Uint8Array, idOf: Ranks): number[] {
  if (bytes.length === 1) return [];
  const own = keyOf(bytes);
  return mergeBytes(bytes, { get: (key) => (key === own ? undefined : idOf.get(key)) });
}
