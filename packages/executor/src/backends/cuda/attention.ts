import type { AttentionSpec, Backend } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { bytesOf } from '../host.js';
import type { Kernels } from './kernels.js';
import { precisionOf } from './kernels.js';
import { addressOf, seedArguments } from './memory.js';

/** Members of Attention in kernels/cuda/attention.cu. */
const ATTENTION = '(iiiidddp)';

/** Rows of a tile, and numbers of its weights. */
const TILE = 32;
const WEIGHTS = TILE * TILE;
/** Heads are up to 32·perLane wide; a thread has `rows` rows of a tile. */
const VARIANTS = {
  f32: [
    { perLane: 1, rows: 4 },
    { perLane: 2, rows: 4 },
    { perLane: 4, rows: 2 },
  ],
  f64: [
    { perLane: 1, rows: 4 },
    { perLane: 2, rows: 2 },
    { perLane: 4, rows: 2 },
  ],
} as const;
const WIDEST_HEAD = 128;

/** Causal attention. */
export function attention(kernels: Kernels): Pick<Backend, 'attention' | 'attentionBackward'> {
  const { device } = kernels;
  const variantsOf = (precision: 'f32' | 'f64') =>
    VARIANTS[precision].map(({ perLane, rows }) => {
      const kernel = (name: string, types: string) =>
        device.kernel('attention', `${name}${perLane}_${precision}`, ATTENTION + types);
      return {
        widest: 32 * perLane,
        threads: (8 * TILE) / rows,
        forward: kernel('attention', 'ppp'),
        gradQ: kernel('attentionGradQ', 'ppppppi'),
        gradKV: kernel('attentionGradKV', 'pppppi'),
        // Of sequences of one tile.
        forwardShort: kernel('attentionShort', 'ppp'),
        backwardShort: kernel('attentionShortBackward', 'ppppi'),
      };
    });
  const variants = { f32: variantsOf('f32'), f64: variantsOf('f64') };

  function prepared({ batch, time, channels, heads, dropout, seed }: AttentionSpec, precision: 'f32' | 'f64') {
    const width = channels / heads;
    const variant = variants[precision].find(({ widest }) => width <= widest);
    if (!variant)
      throw new ExecutorError('shape', `cuda: attention heads are up to ${WIDEST_HEAD} wide, given ${width}`);
    return {
      ...variant,
      short: time <= TILE,
      grid: [batch * heads, Math.ceil(time / TILE)] as const,
      tile: TILE * (Math.ceil(width / 4) | 1) * 4,
      bytes: (numbers: number): number => numbers * bytesOf(precision),
      args: [batch, time, channels, heads, dropout, ...seedArguments(seed)],
    };
  }

  return {
    attention: (spec, qkv, y, logSums) => {
      if (y.length === 0) return;
      const { short, forward, forwardShort, threads, grid, tile, bytes, args } = prepared(spec, precisionOf(y));
      const kernel = short ? forwardShort : forward;
      const shared = bytes(2 * tile + Math.max(tile, WEIGHTS));
      kernel(grid, threads, shared, ...args, addressOf(qkv), addressOf(y), addressOf(logSums));
    },
    attentionBackward: (spec, qkv, y, logSums, gradY, { storage, accumulate }) => {
      if (y.length === 0) return;
      const precision = precisionOf(y);
      const { short, gradQ, gradKV, backwardShort, threads, grid, tile, bytes, args } = prepared(
        spec,
        precision,
      );
      const [forward, to] = [
        [addressOf(qkv), addressOf(logSums)],
        [addressOf(gradY), addressOf(storage), Number(accumulate)],
      ];
      if (short)
        return backwardShort(
          grid,
          threads,
          bytes(3 * tile + Math.max(tile, 2 * WEIGHTS)),
          ...args,
          ...forward,
          ...to,
        );
      kernels.withScratch(precision, spec.batch * spec.heads * spec.time, ({ block: { address } }) => {
        gradQ(
          grid,
          threads,
          bytes(3 * tile + Math.max(tile, WEIGHTS)),
          ...[...args, addressOf(qkv), addressOf(y), addressOf(logSums), address, ...to],
        );
        gradKV(grid, threads, bytes(4 * tile + 2 * WEIGHTS), ...args, ...forward, address, ...to);
      });
    },
  };
}
