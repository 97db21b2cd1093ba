import type { DownloadProgress } from '@dag/model';
import type { SingleBar } from 'cli-progress';
import { visible } from '../cli/visible.js';
import { cliProgress } from './cli-progress.js';

export interface ProgressStats {
  readonly loss: number;
  /** Milliseconds of the last step. */
  readonly stepMs: number;
  /** Further numbers (such as `lr`), shown by name after the others if the width allows. */
  readonly [name: string]: number;
}

export interface Progress {
  /** Shows the number of steps done. If the stream is not a terminal, every call writes a line. */
  update(step: number, stats: ProgressStats): void;
  /** Writes a line above the bar, with control characters escaped. */
  log(line: string): void;
  /** Ends the bar and restores the terminal. */
  stop(): void;
}

/** Shows nothing: for ranks other than 0. */
export const NO_PROGRESS: Progress = { update: () => undefined, log: () => undefined, stop: () => undefined };

type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Shows the progress of `total` steps: on a terminal a bar with loss, step time and remaining time, else plain lines such as
 * `step 100/2000  loss 1.2345  120 ms/step  eta 3m 48s`. Errors of the stream are ignored.
 */
export function createProgress({
  total,
  stream = process.stderr,
}: {
  total: number;
  stream?: ProgressStream;
}): Progress {
  ignoreErrors(stream);
  const average = movingAverage();
  const describe = (step: number, { loss, stepMs, ...others }: ProgressStats): string[] => [
    `step ${step}/${total}`,
    `loss ${loss.toFixed(4)}`,
    formatStepTime(stepMs),
    `eta ${formatDuration(average(stepMs) * (total - step))}`,
    ...Object.entries(others).map(([name, value]) => `${name} ${Number(value?.toPrecision(3))}`),
  ];
  return stream.isTTY ? bar(total, stream, describe) : lines(stream, describe);
}

/** Ignores errors of a stream: training continues if the terminal is gone, the pipe is closed or the disk is full. */
function ignoreErrors(stream: ProgressStream): void {
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
}
const ignore = (): void => undefined;

type Describe = (step: number, stats: ProgressStats) => string[];

function lines(stream: ProgressStream, describe: Describe): Progress {
  const log = (line: string): void => void stream.write(`${visible(line)}\n`);
  return { update: (step, stats) => log(describe(step, stats).join('  ')), log, stop: () => undefined };
}

function bar(total: number, stream: ProgressStream, describe: Describe): Progress {
  // One column less than the width: terminals differ in what they do after the last column.
  const width = Math.min(stream.columns || 80, 80) - 1;
  // MultiBar, because SingleBar has no `log`. `log` clears the bar's line, so the bar must be drawn again.
  const { MultiBar } = cliProgress();
  const bars = new MultiBar({
    stream,
    forceRedraw: true,
    // Without this, a signal that ends the process leaves the terminal with line wrapping off.
    linewrap: true,
    format: (_options, { progress }, { parts }: { parts: string[] }) => barLine(progress, parts, width),
  });
  const single = bars.create(total, 0, { parts: [] });
  let stopped = false;
  return {
    update: (step, stats) => single.update(step, { parts: describe(step, stats) }),
    log(line) {
      if (stopped) return void stream.write(`${visible(line)}\n`);
      bars.log(`${visible(line)}\n`);
      bars.update();
    },
    stop() {
      if (!stopped) bars.stop();
      stopped = true;
    },
  };
}

/** As many of the parts as fit into `width` beside a bar of at least 8 columns; the bar takes the rest, up to 24 columns. */
function barLine(progress: number, parts: readonly string[], width: number): string {
  const percent = `${Math.floor(100 * progress)}%`.padStart(4);
  let text = percent;
  for (const part of parts) {
    if (text.length + 2 + part.length + 9 > width) break;
    text += `  ${part}`;
  }
  const columns = Math.max(0, Math.min(24, width - text.length - 1));
  const done = Math.round(progress * columns);
  return `${'━'.repeat(done)}${'─'.repeat(columns - done)} ${text}`.slice(0, width);
}

/** Exponential moving average over about twenty steps, which predicts the remaining time. */
function movingAverage(): (value: number) => number {
  let average = Number.NaN;
  return (value) => (average = Number.isNaN(average) ? value : 0.95 * average + 0.05 * value);
}

const formatStepTime = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms/step`;

/** `48s`, `3m 48s`, `2h 05m`. */
function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  if (h > 0) return `${h}h ${two(m)}m`;
  return m > 0 ? `${m}m ${two(s)}s` : `${s}s`;
}

/** Shows the progress of downloads: on a terminal a bar per file, from its first bytes on; else nothing. */
export function downloadBar(stream: ProgressStream = process.stderr): {
  update(progress: DownloadProgress): void;
  stop(): void;
} {
  ignoreErrors(stream);
  let current: { file: string; bar: SingleBar } | null = null;
  const stop = (): void => {
    current?.bar.stop();
    current = null;
  };
  return {
    update({ file, received, total }) {
      if (!stream.isTTY) return;
      if (current?.file !== file) {
        stop();
        const { SingleBar } = cliProgress();
        current = {
          file,
          bar: new SingleBar({
            stream,
            format: '{bar} {percentage}%  {size}  {file}',
            barsize: 24,
            linewrap: true,
          }),
        };
        current.bar.start(total, 0, { file, size: '' });
      }
      const size = `${(received / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
      current.bar.update(received, { size });
    },
    stop,
  };
}
