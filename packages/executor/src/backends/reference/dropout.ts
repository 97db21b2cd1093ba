import type { HostArray, Seed } from '../../backend.js';
import { forEachWord } from '../../random.js';
import { seedOf } from '../host.js';

/**
 * Srivastava et al. (2014), scaled at training time; element i is kept where its random word is ≥ p·2³², and the largest word
 * at any p.
 */
export function dropout(x: HostArray, y: HostArray, p: number, seed: Seed, accumulate: boolean): void {
  const threshold = Math.min(Math.round(p * 0x1_0000_0000), 0xffff_ffff);
  const scale = 1 / (1 - p);
  forEachWord(seedOf(seed), x.length, (i, word) => {
    const kept = word >= threshold ? x[i]! * scale : 0;
    y[i] = accumulate ? y[i]! + kept : kept;
  });
}
