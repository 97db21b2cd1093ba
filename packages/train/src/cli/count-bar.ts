import type { SingleBar } from 'cli-progress';
import { cliProgress } from '../run/cli-progress.js';

/** A progress bar on stderr; shows nothing if stderr is not a terminal. */
export interface CountBar {
  update(done: number, total: number): void;
  /** Clears the bar. */
  stop(): void;
}

/**
 * @param show Formats an amount with its unit.
 * @param options quiet: never show a bar.
 */
export function countBar(show: (amount: number) => string, { quiet = false } = {}): CountBar {
  let bar: SingleBar | null = null;
  let of: number | null = null;
  return {
    update(done, total) {
      if (quiet || !process.stderr.isTTY) return;
      bar ??= createBar();
      const shown = `${show(done)} of ${show(total)}`;
      if (of === total) bar.update(done, { shown });
      else bar.start(total, done, { shown });
      of = total;
    },
    stop: () => bar?.stop(),
  };
}

function createBar(): SingleBar {
  const { SingleBar } = cliProgress();
  return new SingleBar({
    stream: process.stderr,
    barsize: 24,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    clearOnComplete: true,
    // Without this, a signal that ends the command leaves the terminal with line wrapping off.
    linewrap: true,
    format: '{bar} {percentage}%  {shown}  eta {eta_formatted}',
  });
}
