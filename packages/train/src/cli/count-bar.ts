import type { SingleBar } from 'cli-progress';
import { cliProgress } from '../run/cli-progress.js';

/** How much of something is done: a bar on stderr where that is a terminal, else nothing. */
export interface CountBar {
  update(done: number, total: number): void;
  /** Clears the bar. */
  stop(): void;
}

/**
 * @param show An amount as the bar shows it, with its unit.
 * @param options quiet: No bar, whatever stderr is.
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
    // Else a terminal would not wrap lines any more once a signal has ended the command.
    linewrap: true,
    format: '{bar} {percentage}%  {shown}  eta {eta_formatted}',
  });
}
