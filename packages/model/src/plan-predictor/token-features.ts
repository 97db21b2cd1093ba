import { tensor, type Device, type Tensor } from '@dag/executor';
import { areWhole, checkList, checkObject, named } from '../arguments.js';
import { ModelError } from '../error.js';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import { checkLayout, type RegisterLayout } from './layout.js';

/** Features of (B, T) tokens that follow from their text alone, in f64. */
export interface TokenFeatures<T = Tensor> {
  /** (B, T) digits that the token holds. */
  readonly count: T;
  /** (B, T) 1 where it holds a decimal point. */
  readonly point: T;
  /** (B, T) 1 where digits in it are not those of the number before it, −1 where they are though no digits precede them; see `TokenRecord`. */
  readonly begins: T;
  /** (B, T) how many more parentheses it opens than it closes. */
  readonly opens: T;
  /** (B, T, 2, J): [0] holds its first J digits, 0 where it has fewer; [1] holds 1 for each of them, 0 for the rest. */
  readonly digits: T;
}

/** `TokenFeatures` of n records as plain arrays, with J, at most `digits` of the layout. */
export function featureTable(records: readonly TokenRecord[], { digits: R }: RegisterLayout) {
  const most = records.reduce((n, { digits }) => Math.max(n, Math.min(digits.length, R)), 1);
  const digits = new Float64Array(records.length * 2 * most);
  records.forEach((record, i) =>
    record.digits.slice(0, most).forEach((digit, j) => {
      digits[2 * i * most + j] = digit;
      digits[(2 * i + 1) * most + j] = 1;
    }),
  );
  const of = (field: (record: TokenRecord) => number): Float64Array => Float64Array.from(records, field);
  return {
    ...{ most, digits, count: of((r) => r.digits.length) },
    ...{
      point: of((r) => Number(r.point)),
      begins: of((r) => Number(r.begins) - Number(r.continues ?? false)),
      opens: of((r) => r.opens ?? 0),
    },
  };
}

/**
 * The features of B·T tokens as tensors.
 *
 * @param records (B·T) records of the tokens, row-major.
 * @param like Where the tensors are made. Default: the default device.
 * @throws {ModelError} `bad-input` unless there is a record for each token; `bad-config` for an invalid layout.
 */
export function tokenFeatures(
  records: readonly TokenRecord[],
  shape: readonly [number, number],
  layout: RegisterLayout,
  { device }: { readonly device?: Device | undefined } = {},
): TokenFeatures {
  checkRecords(records, shape);
  checkLayout(layout);
  const { most, digits, count, point, begins, opens } = featureTable(records, layout);
  const of = (values: Float64Array, ...rest: number[]): Tensor =>
    tensor(values, [...shape, ...rest], device ? { device } : {});
  return {
    ...{ count: of(count), point: of(point), begins: of(begins), opens: of(opens) },
    digits: of(digits, 2, most),
  };
}

/** @throws {ModelError} `bad-input` unless there is one record, as a tokenizer gives it, for each of (B, T) tokens. */
export function checkRecords(records: readonly TokenRecord[], shape: readonly [number, number]): void {
  checkList('token records as an array', records);
  checkList('the shape (B, T) of the tokens', shape);
  const [B, T] = shape;
  if (!Number.isInteger(B) || !Number.isInteger(T) || T < 0 || B * T !== records.length)
    throw new ModelError(
      'bad-input',
      `${records.length} token records have a shape (B, T), given (${named(B)}, ${named(T)})`,
    );
  for (const record of records) {
    checkObject('a token record, as a tokenizer gives it,', record);
    if (!Array.isArray(record.digits) || !areWhole(record.digits, 10))
      throw new ModelError(
        'bad-input',
        `digits of a token record are an array of 0 … 9, given ${named(record.digits)}`,
      );
    if (record.opens !== undefined && !Number.isInteger(record.opens))
      throw new ModelError(
        'bad-input',
        `opens of a token record is a whole number, given ${named(record.opens)}`,
      );
    for (const flag of ['point', 'begins'] as const)
      if (typeof record[flag] !== 'boolean')
        throw new ModelError(
          'bad-input',
          `${flag} of a token record is true or false, given ${named(record[flag])}`,
        );
  }
}
