import { BELOW_1, checkNumber, checkOptions, WHOLE_FROM_1 } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { show } from '../shape.js';
import { record } from '../tape.js';
import { commonDType, empty, gradOf, type Tensor } from '../tensor.js';
import { checkedSeed, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';

export interface AttentionOptions {
  readonly heads: number;
  /** Dropout on the attention weights. */
  readonly dropout?: number;
  readonly seed?: SeedOption;
}

/**
 * Causal multi-head self-attention (Vaswani et al. 2017, section 3.2) from queries, keys and values side by side:
 * qkv (B, T, 3C) → (B, T, C). Position t attends to positions 0 … t.
 */
export function causalAttention(qkv: Tensor, options: AttentionOptions): Tensor {
  const dtype = commonDType('causalAttention', [qkv]);
  checkOptions('causalAttention', options, ['heads', 'dropout', 'seed']);
  const { heads, dropout = 0, seed: givenSeed = [0, 0] } = options;
  const seed = checkedSeed('causalAttention', givenSeed);
  checkNumber('causalAttention', 'heads', heads, WHOLE_FROM_1);
  checkNumber('causalAttention', 'dropout', dropout, BELOW_1);
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
  const { backend } = qkv;
  const spec = {
    batch,
    time,
    channels: wide / 3,
    heads,
    dropout,
    seed: seedFrom('causalAttention', seed, backend),
  };
  const y = empty([batch, time, wide / 3], dtype, backend);
  const logSums = empty([batch, heads, time], dtype, backend);
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
