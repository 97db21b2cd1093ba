import { ModelError } from './error.js';
import { elementsOf, type SafeTensor } from './safetensors/tensor.js';
import type { TokenTable } from './tokenizer/vocabulary.js';

/** The tensors by which a file has a table of tokens: ids, the number of bytes of each, and all bytes one after another. */
const [IDS, LENGTHS, BYTES] = ['tokens.ids', 'tokens.lengths', 'tokens.bytes'] as const;

/** A table of tokens as tensors of a file. */
export function tokenTensors({ ids, tokens }: TokenTable): [name: string, tensor: SafeTensor][] {
  const bytes = Uint8Array.from(tokens.flatMap((token) => [...token]));
  const lengths = Uint8Array.from(tokens, ({ length }) => length);
  return [
    [IDS, { dtype: 'I32', shape: [ids.length], data: Int32Array.from(ids) }],
    [LENGTHS, { dtype: 'U8', shape: [ids.length], data: lengths }],
    [BYTES, { dtype: 'U8', shape: [bytes.length], data: bytes }],
  ];
}

/**
 * Takes the table of tokens out of the tensors of a file; null where it has none.
 *
 * @throws {ModelError} `bad-file` where it is no table.
 */
export function takeTokenTable(tensors: Map<string, SafeTensor>): TokenTable | null {
  const [ids, lengths, bytes] = [IDS, LENGTHS, BYTES].map((name) => tensors.get(name));
  for (const name of [IDS, LENGTHS, BYTES]) tensors.delete(name);
  if (!ids && !lengths && !bytes) return null;
  const isTable =
    ids?.data instanceof Int32Array &&
    lengths?.dtype === 'U8' &&
    bytes?.dtype === 'U8' &&
    ids.data.length === lengths.data.length &&
    ids.data.every((id, i, all) => id > (all[i - 1] ?? -1));
  const ends: number[] = [];
  if (isTable) for (const length of lengths.data) ends.push((ends.at(-1) ?? 0) + Number(length));
  if (!isTable || (ends.at(-1) ?? 0) !== elementsOf(bytes.shape))
    throw new ModelError('bad-file', `'${IDS}', '${LENGTHS}' and '${BYTES}' are no table of tokens`);
  const all = bytes.data as Uint8Array;
  return { ids: [...ids.data], tokens: ends.map((end, i) => all.subarray(ends[i - 1] ?? 0, end)) };
}
