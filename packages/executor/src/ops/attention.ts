import { BELOW_1, checkBoolean, checkNumber, checkOptions, FINITE, WHOLE_FROM_1 } from '../arguments.js';
import { arange, zeros } from '../create.js';
import { ExecutorError } from '../error.js';
import { broadcastShapes, sameShape, show, type Shape } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, gradOf, type Tensor } from '../tensor.js';
import { greaterEqual, logicalAnd, notEqual, where } from './conditions.js';
import { add, cast, dropout, mul } from './elementwise.js';
import { matmul } from './matmul.js';
import { softmax } from './normalization.js';
import { seedOfDropout, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';
import { reshape, transpose } from './shape.js';

/** Options of `causalAttention`. */
export interface AttentionOptions {
  /** Number of heads, which divides C. */
  readonly heads: number;
  /** Probability in [0, 1) of dropping an attention weight. Default: 0. */
  readonly dropout?: number;
  /** Seed of the dropout mask; required with dropout. */
  readonly seed?: SeedOption;
}

/**
 * Causal multi-head self-attention (Vaswani et al. 2017, section 3.2) from queries, keys and values side by side:
 * qkv (B, T, 3C) → (B, T, C), f32 or f64, or bf16 as `linear` gives it on `cuda`. Position t attends to positions 0 … t. Takes no memory
 * for T×T weights.
 *
 * @throws {ExecutorError} `shape` where qkv is not (B, T, 3C) or the heads do not divide C; `value` for dropout without a seed.
 */
export function causalAttention(qkv: Tensor, options: AttentionOptions): Tensor {
  const backend = commonBackend('causalAttention', [qkv]);
  const computed = qkv.dtype === 'bf16' ? 'f32' : commonDType('causalAttention', [qkv]);
  checkOptions('causalAttention', options, ['heads', 'dropout', 'seed']);
  const { heads, dropout = 0, seed: givenSeed } = options;
  checkNumber('causalAttention', 'heads', heads, WHOLE_FROM_1);
  checkNumber('causalAttention', 'dropout', dropout, BELOW_1);
  const seed = seedOfDropout('causalAttention', dropout, givenSeed);
  const [batch, time, wide] = qkv.shape;
  if (
    batch === undefined ||
    time === undefined ||
    wide === undefined ||
    qkv.shape.length !== 3 ||
    wide % (3 * heads) !== 0
  )
    throw new ExecutorError(
      'shape',
      `causalAttention: qkv is (B, T, 3C) with C divisible by ${heads} heads, given ${show(qkv.shape)}`,
    );
  const spec = {
    batch,
    time,
    channels: wide / 3,
    heads,
    dropout,
    seed: seedFrom('causalAttention', seed, backend),
  };
  const y = empty([batch, time, wide / 3], qkv.dtype, backend);
  const logSums = empty([batch, heads, time], computed, backend);
  backend.attention(spec, qkv.storage, y.storage, logSums.storage);
  const saved = { qkv, y, logSums, seed: seedTensor(seed) };
  return record('causalAttention', y, [qkv], saved, (gradY, saved) =>
    backend.attentionBackward(
      { ...spec, seed: savedSeed(seed, saved.seed) },
      saved.qkv,
      saved.y,
      saved.logSums,
      gradY,
      gradOf(qkv),
    ),
  );
}

/** Options of `scaledDotProductAttention`. */
export interface ScaledDotProductAttentionOptions {
  /** Whether query i sees only keys 0 … i. Default: false. */
  readonly isCausal?: boolean;
  /** Broadcasts to (…, L, S), of any dtype: a query sees the keys where it is not 0. PyTorch's boolean `attn_mask`. */
  readonly mask?: Tensor;
  /** Broadcasts to (…, L, S), added to the scores; −∞ hides a key. PyTorch's `attn_mask` of floats. */
  readonly bias?: Tensor;
  /** Factor of the scores q·kᵀ. Default: 1/√E. */
  readonly scale?: number;
  /** Probability in [0, 1) of dropping an attention weight. Default: 0. */
  readonly dropout?: number;
  /** Seed of the dropout mask; required with dropout. */
  readonly seed?: SeedOption;
}

/**
 * softmax(q·kᵀ·scale + bias)·v over the keys that a query sees (Vaswani et al. 2017, section 3.2): queries (…, L, E), keys (…, S, E), values
 * (…, S, V) → (…, L, V), f32 or f64. A query that sees no key gives 0 and passes no gradient, where PyTorch may give NaN. Takes memory
 * for (…, L, S) weights; `causalAttention` does not.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the tensors do not go together; `value` for dropout without a seed.
 * @example scaledDotProductAttention(q, k, v, { mask: notEqual(tokens, PADDING) }) // tokens (S): hides padding
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: ScaledDotProductAttentionOptions = {},
): Tensor {
  checkOptions(OP, options, ['isCausal', 'mask', 'bias', 'scale', 'dropout', 'seed']);
  const { isCausal = false, mask, bias, dropout: p = 0, seed: givenSeed } = options;
  checkNumber(OP, 'dropout', p, BELOW_1);
  const seed = seedOfDropout(OP, p, givenSeed);
  const dtype = commonDType(OP, bias === undefined ? [q, k, v] : [q, k, v, bias]);
  commonBackend(OP, [q, k, v, ...[mask, bias].filter((t) => t !== undefined)]);
  checkBoolean(OP, 'isCausal', isCausal);
  const { L, S, E, V, leading } = attentionSizes(q, k, v);
  const { scale = 1 / Math.sqrt(E) } = options;
  checkNumber(OP, 'scale', scale, FINITE);
  const shape = [...leading, L, S];
  for (const t of [mask, bias]) if (t) checkBroadcast(t, shape);
  if (S === 0) return zeros([...leading, L, V], { dtype, device: q.device });

  let scores = mul(matmul(q, transpose(k)), scale);
  if (bias) scores = add(scores, bias);
  const conditions: Tensor[] = [];
  if (bias) conditions.push(notEqual(scores, -Infinity));
  if (mask) conditions.push(cast(notEqual(mask, 0), dtype));
  if (isCausal) {
    const [query, key] = [L, S].map((n) => arange(0, n, 1, { dtype, device: q.device })) as [Tensor, Tensor];
    conditions.push(greaterEqual(reshape(query, [L, 1]), key));
  }
  const isSeen = conditions.length > 0 ? conditions.reduce(logicalAnd) : null;
  // The lowest finite number: its weight is 0 beside any other score, and a row without keys does not become NaN.
  let weights = softmax(isSeen ? where(isSeen, scores, LOWEST[dtype]) : scores);
  // With a causal mask alone every query sees a key.
  if (isSeen && (mask ?? bias)) weights = where(isSeen, weights, 0);
  return matmul(dropout(weights, p, seed), v);
}

const OP = 'scaledDotProductAttention';
const LOWEST = {
  f32: -(2 - 2 ** -23) * 2 ** 127,
  f64: -Number.MAX_VALUE,
} as const;

function attentionSizes(q: Tensor, k: Tensor, v: Tensor) {
  const [L, E] = q.shape.slice(-2);
  const [S, V] = v.shape.slice(-2);
  const leading = q.shape.slice(0, -2);
  if (
    L === undefined ||
    S === undefined ||
    !E ||
    V === undefined ||
    !sameShape(k.shape, [...leading, S, E]) ||
    !sameShape(v.shape, [...leading, S, V])
  )
    throw new ExecutorError(
      'shape',
      `${OP}: q ${show(q.shape)}, k ${show(k.shape)} and v ${show(v.shape)}; expected (…, L, E), (…, S, E) and (…, S, V), E not 0`,
    );
  return { L, S, E, V, leading };
}

function checkBroadcast({ shape }: Tensor, scores: Shape): void {
  if (!sameShape(broadcastShapes(shape, scores, OP), scores))
    throw new ExecutorError(
      'shape',
      `${OP}: ${show(shape)} does not broadcast to the scores ${show(scores)}`,
    );
}
