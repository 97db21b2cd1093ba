import { operatorCount, slotCount, type RegisterLayout } from '../plan-predictor/layout.js';
import { CLASSES, OUTPUT, TIE } from '../plan-predictor/registers.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { Weights } from './backbone.js';
import type { GraphBuilder, Value } from './graph-builder.js';

/** Registers with every choice made, of N = B·T tokens, in double: what `harden` gives. */
export interface HardRegisters {
  /** (N, S, R) the digit, 0 where there is none; whether there is one. */
  readonly digit: Value;
  readonly present: Value;
  /** (N, S) */
  readonly length: Value;
  readonly negative: Value;
  /** (N, K, 5) */
  readonly operators: Value;
  /** (N, K) */
  readonly priority: Value;
}

/** What `RegisterWriter.forward` and `harden` do, hidden (B, T, C). */
export function writeRegisters(
  g: GraphBuilder,
  weights: Weights,
  hidden: Value,
  tokens: Value,
  tokenizer: Tokenizer,
  layout: RegisterLayout,
): HardRegisters {
  const K = operatorCount(layout);
  const S = slotCount(layout);
  const records = tokenRecords(g, tokens, tokenizer, layout.digits);
  const y = weights.linear('plan.decide', hidden);
  const output = (i: number): Value => g.select(y, 2, i);
  // Each token decides before its decision is summed.
  const likeliest = g.op('ArgMax', [g.slice(y, 2, 0, CLASSES)], { axis: -1, keepdims: 1 });
  const kinds = g.i64(Array.from({ length: CLASSES - 1 }, (_, c) => c + 1));
  const classes = g.cast(g.op('Equal', [likeliest, kinds]), 'f32');
  const written = g.sum(classes, 2);
  const count = g.cumsum(written, 1);
  const slots = address(g, count, S);
  const operators = address(g, g.sub(count, written), K);
  const isSign = g.cast(g.op('Greater', [output(OUTPUT.sign), g.f32(0)]), 'f32');
  const negative = g.mul(records.minus, isSign);
  const priority = g.add(output(OUTPUT.level), g.cumsum(output(OUTPUT.nesting), 1));
  const sumOver = (weight: Value, x: Value): Value => g.cumsum(g.mul(weight, g.unsqueeze(x, -1)), 1);
  const points = g.sum(g.mul(slots, sumOver(slots, records.point)), 2);
  const before = g.mul(records.count, g.sub(g.f32(1), g.op('Min', [g.f32(1), points])));
  const writtenClasses = g.cumsum(g.mul(g.unsqueeze(operators, 3), g.unsqueeze(classes, 2)), 1);
  const priorities = g.sub(
    sumOver(operators, g.mul(written, priority)),
    g.f32(Array.from({ length: K }, (_, k) => TIE * k)),
  );
  const flat = (x: Value, ...dims: number[]): Value => g.cast(g.reshape(x, [-1, ...dims]), 'f64');
  const { digit, present } = digitRegisters(g, slots, records, layout);
  return {
    digit: flat(digit, S, layout.digits),
    present: flat(present, S, layout.digits),
    length: flat(sumOver(slots, before), S),
    // A minus that was written twice is one minus.
    negative: g.op('Min', [g.f64(1), flat(sumOver(slots, negative), S)]),
    operators: flat(writtenClasses, K, CLASSES - 1),
    priority: flat(priorities, K),
  };
}

/** max(0, 1 − |k − x|), x (…) → (…, n). */
function address(g: GraphBuilder, x: Value, n: number): Value {
  const registers = g.f32(Array.from({ length: n }, (_, k) => k));
  return g.op('Relu', [g.sub(g.f32(1), g.op('Abs', [g.sub(g.unsqueeze(x, -1), registers)]))]);
}

interface Records {
  /** (B, T) */
  readonly count: Value;
  readonly minus: Value;
  readonly point: Value;
  /** (B, T, J) the digits, −1 where there are fewer. */
  readonly digits: Value;
  /** J */
  readonly most: number;
}

/** What tokens hold by their text: tokens with the same record share a row of the tables. */
function tokenRecords(g: GraphBuilder, tokens: Value, tokenizer: Tokenizer, mostDigits: number): Records {
  const rows = new Map<
    string,
    { row: number; count: number; minus: boolean; point: boolean; digits: number[] }
  >();
  const rowOf = Int32Array.from({ length: tokenizer.vocabSize }, (_, id) => {
    const { digits, minus, point } = tokenizer.record(id);
    // Digits that no register has room for count, but are written nowhere.
    const kept = digits.slice(0, mostDigits);
    const key = `${digits.length} ${kept.join('')} ${minus} ${point}`;
    const known = rows.get(key);
    if (known) return known.row;
    rows.set(key, { row: rows.size, count: digits.length, minus, point, digits: kept });
    return rows.size - 1;
  });
  const records = [...rows.values()];
  const most = records.reduce((n, { digits }) => Math.max(n, digits.length), 1);
  const digits = new Int32Array(records.length * most).fill(-1);
  records.forEach((record, r) => digits.set(record.digits, r * most));
  const row = g.op('Gather', [g.tensor(rowOf, [rowOf.length]), tokens]);
  const of = (table: Float32Array | Int32Array, ...dims: number[]): Value =>
    g.op('Gather', [g.tensor(table, [records.length, ...dims]), row]);
  return {
    count: of(Float32Array.from(records, ({ count }) => count)),
    minus: of(Float32Array.from(records, ({ minus }) => Number(minus))),
    point: of(Float32Array.from(records, ({ point }) => Number(point))),
    digits: of(digits, most),
    most,
  };
}

/** (B, T, S, R) each: digits are appended to those already written to the slot. */
function digitRegisters(
  g: GraphBuilder,
  slots: Value,
  { count, digits, most }: Records,
  { digits: R }: RegisterLayout,
): { digit: Value; present: Value } {
  const added = g.mul(slots, g.unsqueeze(count, -1));
  const already = g.sum(g.mul(slots, g.sub(g.cumsum(added, 1), added)), 2, true);
  // (B, T, J, R)
  const position = address(g, g.add(already, g.f32(Array.from({ length: most }, (_, j) => j))), R);
  const written = (ofToken: Value): Value => {
    // (B, T, 1, J)·(B, T, J, R)
    const token = g.matmul(g.unsqueeze(ofToken, 2), position);
    return g.cumsum(g.mul(g.unsqueeze(slots, 3), token), 1);
  };
  const values = g.cast(digits, 'f32');
  return {
    digit: written(g.op('Relu', [values])),
    present: written(g.cast(g.op('GreaterOrEqual', [values, g.f32(0)]), 'f32')),
  };
}
