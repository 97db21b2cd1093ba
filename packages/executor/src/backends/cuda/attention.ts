import type { AttentionSpec, Backend, Storage } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { bytesOf } from '../host.js';
import { computedIn, floatOf, Kernels } from './kernels.js';
import { addressOf, seedArguments } from './memory.js';

/** Members of Attention in kernels/cuda/attention.cu. */
const ATTENTION = '(iiiidddp)';

/** Rows of a tile, and elements of its weights. */
const TILE = 32;
const WEIGHTS = TILE * TILE;
/** Kernels are for heads of up to 32·this. */
const WIDTHS = [1, 2, 4] as const;
const WIDEST_HEAD = 128;

/** Causal attention, forward and backward. */
export function attention(kernels: Kernels): Pick<Backend, 'attention' | 'attentionBackward'> {
  const { device } = kernels;
  const kernelsOf = (dtype: 'f32' | 'f64' | 'bf16') =>
    WIDTHS.map((per) => {
      const kernel = (name: string, types: string) =>
        device.kernel('attention', `${name}${per}_${dtype}`, ATTENTION + types);
      return {
        widest: 32 * per,
        // See ROWS in kernels/cuda/attention.cu.
        threads: per === 1 || (per === 2 && dtype !== 'f64') ? 64 : 128,
        forward: kernel('attention', 'ppp'),
        gradQ: kernel('attentionGradQ', 'ppppppi'),
        gradKV: kernel('attentionGradKV', 'pppppi'),
        // Of sequences of one tile.
        forwardShort: kernel('attentionShort', 'ppp'),
        backwardShort: kernel('attentionShortBackward', 'ppppi'),
      };
    });
  const all = { f32: kernelsOf('f32'), f64: kernelsOf('f64'), bf16: kernelsOf('bf16') };

  function prepared({ batch, time, channels, heads, dropout, seed }: AttentionSpec, y: Storage) {
    const width = channels / heads;
    const suited = all[floatOf(y)].find(({ widest }) => width <= widest);
    if (!suited)
      throw new ExecutorError('shape', `cuda: attention heads are up to ${WIDEST_HEAD} wide, given ${width}`);
    return {
      ...suited,
      isShort: time <= TILE,
      grid: [batch * heads, Math.ceil(time / TILE)] as const,
      /** Elements of a tile of Q, K or V in shared memory. */
      tile: TILE * (Math.ceil(width / 4) | 1) * 4,
      bytes: (numbers: number): number => numbers * bytesOf(computedIn(y)),
      args: [batch, time, channels, heads, dropout, ...seedArguments(seed)],
    };
  }

  return {
    attention: (spec, qkv, y, logSums) => {
      if (y.length === 0) return;
      const { isShort, forward, forwardShort, threads, grid, tile, bytes, args } = prepared(spec, y);
      const kernel = isShort ? forwardShort : forward;
      const shared = bytes(2 * tile + Math.max(tile, WEIGHTS));
      kernel(grid, threads, shared, ...args, addressOf(qkv), addressOf(y), addressOf(logSums));
    },
    attentionBackward: (spec, qkv, y, logSums, gradY, { storage, accumulate }) => {
      if (y.length === 0) return;
      const { isShort, gradQ, gradKV, backwardShort, threads, grid, tile, bytes, args } = prepared(spec, y);
      const [q, sums] = [addressOf(qkv), addressOf(logSums)];
      const to = [addressOf(gradY), addressOf(storage), Number(accumulate)];
      if (isShort) {
        const shared = bytes(3 * tile + Math.max(tile, 2 * WEIGHTS));
        return backwardShort(grid, threads, shared, ...args, q, sums, ...to);
      }
      const lines = spec.batch * spec.heads * spec.time;
      kernels.withScratch(computedIn(y), lines, ({ block: { address: deltas } }) => {
        const sharedQ = bytes(3 * tile + Math.max(tile, WEIGHTS));
        const sharedKV = bytes(4 * tile + 2 * WEIGHTS);
        gradQ(grid, threads, sharedQ, ...args, q, addressOf(y), sums, deltas, ...to);
        gradKV(grid, threads, sharedKV, ...args, q, sums, deltas, ...to);
      });
    },
  };
}
