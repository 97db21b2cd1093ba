import { featureTable, type TokenFeatures } from '../plan-predictor/token-features.js';
import type { RegisterLayout } from '../plan-predictor/layout.js';
import type { Tokenizer, TokenRecord } from '../tokenizer/tokenizer.js';
import type { GraphBuilder, Value } from './graph-builder.js';

/** Features of tokens (B, T) i64, by lookup in tables of records; tokens with the same features share a row. */
export function featuresOf(
  g: GraphBuilder,
  tokens: Value,
  tokenizer: Tokenizer,
  layout: RegisterLayout,
): TokenFeatures<Value> {
  const rows = new Map<string, number>();
  const records: TokenRecord[] = [];
  const rowOf = Int32Array.from({ length: tokenizer.vocabSize }, (_, id) => {
    const record = tokenizer.record(id);
    const { digits, point, begins, opens } = record;
    // Digits beyond the layout are counted, but no register holds them.
    const key = `${digits.length} ${digits.slice(0, layout.digits).join('')} ${point} ${begins} ${opens}`;
    const known = rows.get(key);
    if (known !== undefined) return known;
    rows.set(key, records.length);
    return records.push(record) - 1;
  });
  const { most, digits, ...rest } = featureTable(records, layout);
  const row = g.op('Gather', [g.tensor(rowOf, [rowOf.length]), tokens]);
  const of = (table: Float64Array, ...dims: number[]): Value =>
    g.op('Gather', [g.tensor(table, [records.length, ...dims]), row]);
  return {
    ...{ digits: of(digits, 2, most), count: of(rest.count) },
    ...{ point: of(rest.point), begins: of(rest.begins), opens: of(rest.opens) },
  };
}
