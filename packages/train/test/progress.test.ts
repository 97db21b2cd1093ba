import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { createProgress, downloadBar } from '../src/run/progress.js';

const ESCAPE = '\u001b';

/** A stream that keeps what is written to it, and may say that it is a terminal. */
class FakeStream extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns: number;

  constructor(isTTY: boolean, columns = 80) {
    super();
    this.isTTY = isTTY;
    this.columns = columns;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  /** What a terminal would show: a line begins again at "go to column 1", and ends at "clear to the right". */
  screen(): string[] {
    const plain = new RegExp(`${ESCAPE}\\[(?:\\?7[hl]|[02]?K|0?J|\\d*A)`, 'g');
    return this.text.split('\n').map((line) => {
      const drawn = line.split(`${ESCAPE}[1G`).filter((part) => part.replaceAll(plain, '') !== '');
      return (drawn.at(-1) ?? '').replaceAll(plain, '');
    });
  }
}

describe('without a terminal', () => {
  test('every update is a line with loss, step time and time left', () => {
    const stream = new FakeStream(false);
    const progress = createProgress({ total: 2000, stream });
    progress.update(100, { loss: 1.23454, stepMs: 120 });
    progress.log(`saved ${ESCAPE}[31m`);
    progress.update(200, { loss: 0.5, stepMs: 120, lr: 0.00123456 });
    progress.stop();
    expect(stream.text.split('\n')).toEqual([
      'step 100/2000  loss 1.2345  120 ms/step  eta 3m 48s',
      'saved \\u001b[31m',
      'step 200/2000  loss 0.5000  120 ms/step  eta 3m 36s  lr 0.00123',
      '',
    ]);
  });

  test('the time left follows the average of the step times', () => {
    const stream = new FakeStream(false);
    const progress = createProgress({ total: 1002, stream });
    progress.update(1, { loss: 1, stepMs: 10_000 });
    progress.update(2, { loss: 1, stepMs: 0.5 });
    progress.update(1002, { loss: Number.NaN, stepMs: 1 });
    expect(stream.text.split('\n')).toEqual([
      'step 1/1002  loss 1.0000  10000 ms/step  eta 2h 46m',
      'step 2/1002  loss 1.0000  0.5 ms/step  eta 2h 38m',
      'step 1002/1002  loss NaN  1.0 ms/step  eta 0s',
      '',
    ]);
  });
});

describe('on a terminal', () => {
  test('a bar shows them in one line of at most 80 columns', () => {
    const stream = new FakeStream(true, 200);
    const progress = createProgress({ total: 2000, stream });
    for (let step = 1; step <= 1000; step++) {
      progress.update(step, { loss: 12.5, stepMs: 120, lr: 1e-3, gradientNorm: 3, tokens: 1e6 });
    }
    progress.stop();
    const [line] = stream.screen();
    expect(line).toMatch(/^━+─+ {2}50% {2}step 1000\/2000 {2}loss 12.5000 {2}120 ms\/step {2}eta 2m 00s/);
    expect(line!.length).toBeLessThan(80);
    expect(stream.screen()).toEqual([line, '']);
  });

  test.each([79, 60, 40, 20, 10])('the bar keeps within %i columns', (columns) => {
    const stream = new FakeStream(true, columns);
    const progress = createProgress({ total: 2000, stream });
    progress.update(2000, { loss: 12.5, stepMs: 120, lr: 1e-3 });
    progress.stop();
    for (const line of stream.screen()) expect(line.length).toBeLessThan(columns);
  });

  test('a line of the log stands above the bar, which is drawn again', () => {
    const stream = new FakeStream(true);
    const progress = createProgress({ total: 10, stream });
    progress.update(4, { loss: 1, stepMs: 1 });
    progress.log('checkpoint 4 is written');
    progress.log('another line');
    progress.stop();
    progress.stop();
    progress.log('the end');
    const [first, second, bar, ...rest] = stream.screen();
    expect([first, second]).toEqual(['checkpoint 4 is written', 'another line']);
    expect(bar).toContain('40%  step 4/10');
    expect(rest).toEqual(['the end', '']);
  });

  test('line wrapping is never turned off: nothing would turn it on again where the process is killed', () => {
    const stream = new FakeStream(true);
    const progress = createProgress({ total: 10, stream });
    progress.update(1, { loss: 1, stepMs: 1 });
    const bar = downloadBar(stream);
    bar.update({ file: 'model.safetensors', received: 1, total: 2 });
    expect(stream.text).not.toContain('\u001b[?7l');
    bar.stop();
    progress.stop();
  });
});
