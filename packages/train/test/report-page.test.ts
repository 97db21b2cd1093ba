import { tensorize } from '@dag/tensorize';
import { describe, expect, it } from '@jest/globals';
import { interval } from '../src/evaluation/evaluate.js';
import type { MetricsRecord } from '../src/run/metrics.js';
import { chartsOf, type Chart } from '../src/reports/charts.js';
import { exampleCard } from '../src/reports/example-card.js';
import { chooseExamples } from '../src/reports/examples.js';
import { html } from '@dag/tensorize/draw';
import { reportPage } from '../src/reports/page.js';
import { tilesOf } from '../src/reports/tiles.js';
import { answersOf, exampleReport, NAME, RECORDS } from './report.js';

const lines = ({ series }: Chart) => series.filter(({ role }) => role === 'line');

describe('the charts of a run', () => {
  const { loss, heldOut, optimiser } = chartsOf(RECORDS, { count: 32, unit: 'texts' });

  it('have the loss and its components on logarithmic scales', () => {
    expect(loss.map(({ title, scale }) => [title, scale])).toEqual([
      ['Total loss', 'log'],
      ['Loss by component', 'log'],
    ]);
    expect(lines(loss[1]!).map(({ name }) => name)).toEqual(['digits', 'count']);
    expect(loss[0]!.steps).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
  });

  it('have the median of neighbouring steps as lines, and what was logged behind them', () => {
    const [faint, line] = loss[0]!.series;
    expect(faint).toMatchObject({ role: 'faint', group: 0 });
    expect(faint!.values.slice(0, 3)).toEqual([1, 1 / 2, 1 / 3]);
    // 120 lines: two neighbours on each side, as many on both at the ends.
    expect(line!.values.slice(0, 4)).toEqual([1, 1 / 2, 1 / 3, 1 / 4]);
    const spiked = RECORDS.map((record) => (record.step === 60 ? { ...record, loss: 1e6 } : record));
    const smooth = lines(chartsOf(spiked, { count: 32, unit: 'texts' }).loss[0]!)[0]!.values;
    expect(smooth[59]).toBe(1 / 59);
    expect(loss[0]!.note).toContain('median of 5 logged steps');
  });

  it('draw some of very many logged steps, the last among them', () => {
    const many = Array.from({ length: 130_000 }, (_, i) => ({ step: i + 1, loss: 1 / (i + 1) }));
    const [chart] = chartsOf(many, { count: 32, unit: 'texts' }).loss;
    expect(chart!.steps).toHaveLength(5000);
    expect(chart!.steps.slice(-2)).toEqual([129_974, 130_000]);
    expect(
      tilesOf(many, {
        maxSteps: 130_000,
        savedStep: 0,
        perStep: { count: 32, unit: 'texts' },
        parameters: null,
      })[0],
    ).toMatchObject({
      value: '130,000',
    });
  });

  it('have gaps where lines lack a number or hold another kind of value', () => {
    const strange = [
      { step: 1, loss: null, lr: 'fast' },
      { step: 2 },
      { step: 3, loss: 2, stepMs: 0, heldOut: null },
      { step: 4, loss: 3, stepMs: 0 },
      { step: 5, heldOut: { value: null, byOperations: 'none' } },
    ];
    expect(chartsOf(strange, { count: 32, unit: 'texts' }).loss[0]!.series[0]!.values).toEqual([
      null,
      null,
      3,
    ]);
    expect(
      tilesOf(strange, {
        maxSteps: 5,
        savedStep: 0,
        perStep: { count: 32, unit: 'texts' },
        parameters: null,
      }).map(({ name }) => name),
    ).toEqual(expect.arrayContaining(['Steps', 'Training loss']));
  });

  it('have held-out accuracy with its confidence, in all and by number of operations', () => {
    const [all, by] = heldOut;
    expect(all!.steps).toEqual([40, 80, 120]);
    expect(lines(all!).map(({ name, values }) => [name, values[2]])).toEqual([
      ['value', 0.75],
      ['exact', 0.75],
      ['plan', 0.375],
    ]);
    const [high, low] = all!.series;
    expect([low!.values[2], high!.values[2]]).toEqual(interval(0.75, 100));
    expect(by!.series.map(({ name, values }) => [name, values])).toEqual([
      ['1 operation', [1, 1, 1]],
      ['2 operations', [0.2, 0.4, 0.6]],
    ]);
  });

  it('have the learning rate, the norm of the gradient, and texts per second', () => {
    expect(optimiser.map(({ title, scale }) => [title, scale])).toEqual([
      ['Learning rate', 'linear'],
      ['Gradient norm', 'log'],
      ['Throughput', 'linear'],
    ]);
    expect(lines(optimiser[2]!)[0]!.values[0]).toBe(1600);
  });

  it('are of whatever numbers a run of another kind has logged', () => {
    const records: MetricsRecord[] = [
      { step: 1, loss: 4, 'cross-entropy': 3, note: 'text', lr: 1 },
      { step: 2, loss: null, 'cross-entropy': 2, auxiliary: -1, lr: 1 },
      { step: 2, heldOut: { textLoss: 2.5, perplexity: 12 } },
    ];
    const charts = chartsOf(records, { count: 8, unit: 'texts' });
    expect(lines(charts.loss[0]!)[0]!.values).toEqual([4, null]);
    expect(lines(charts.loss[1]!).map(({ name, values }) => [name, values])).toEqual([
      ['cross-entropy', [3, 2]],
      ['auxiliary', [null, -1]],
    ]);
    // What is negative has no logarithm.
    expect(charts.loss[1]!.scale).toBe('linear');
    expect(charts.heldOut.map(({ title }) => title)).toEqual(['Held-out text loss', 'Held-out perplexity']);
    expect(charts.optimiser.map(({ title }) => title)).toEqual(['Learning rate']);
  });

  it('leave a gap where a logarithm has none for a zero', () => {
    const chart = chartsOf(
      [
        { step: 1, loss: 1 },
        { step: 2, loss: 0 },
      ],
      { count: 8, unit: 'texts' },
    ).loss[0]!;
    expect(chart).toMatchObject({ scale: 'log', series: [{ values: [1, null] }] });
  });
});

describe('the figures at the top', () => {
  it('are what the run came to', () => {
    expect(
      tilesOf(RECORDS, {
        maxSteps: 1500,
        savedStep: 0,
        perStep: { count: 32, unit: 'texts' },
        parameters: 30026,
      }),
    ).toEqual([
      { name: 'Steps', value: '120', note: 'of 1,500' },
      { name: 'Best held-out score', value: '75.0 %', note: 'values right, at step 120' },
      { name: 'Training loss', value: '0.00833', note: 'at step 120' },
      { name: 'Throughput', value: '1,600', note: 'texts/s, 20 ms a step' },
      { name: 'Parameters', value: '30,026', note: 'weights' },
    ]);
  });

  it('say the step that was saved last, where a run was stopped between two lines', () => {
    const [steps] = tilesOf(RECORDS, {
      maxSteps: 1500,
      savedStep: 132,
      perStep: { count: 32, unit: 'texts' },
      parameters: null,
    });
    expect(steps).toEqual({ name: 'Steps', value: '132', note: 'of 1,500' });
  });

  it('count micro-batches of a task that has no texts', () => {
    const perStep = { count: 2, unit: 'micro-batches' } as const;
    expect(tilesOf(RECORDS, { maxSteps: 1500, savedStep: 0, perStep, parameters: null })[3]).toEqual({
      ...{ name: 'Throughput', value: '100', note: 'micro-batches/s, 20 ms a step' },
    });
    expect(chartsOf(RECORDS, perStep).optimiser[2]).toMatchObject({
      note: expect.stringMatching(/^micro-batches per second/),
    });
  });

  it('compare no scores on other held-out data than that which was asked last', () => {
    const records = [
      { step: 10, heldOut: { value: 1 }, evaluation: { seed: 1, examples: 4 } },
      { step: 20, heldOut: { value: 0.5 }, evaluation: { seed: 1, examples: 500 } },
      { step: 30, heldOut: { value: 0.25 }, evaluation: { seed: 1, examples: 500 } },
    ];
    const perStep = { count: 8, unit: 'texts' } as const;
    expect(tilesOf(records, { maxSteps: 30, savedStep: 0, perStep, parameters: null })[1]).toEqual({
      ...{ name: 'Best held-out score', value: '50.0 %', note: 'values right, at step 20' },
    });
  });

  it('are those that there are', () => {
    const records = [2.5, 2, 3].map((textLoss, i) => ({
      step: 10 * (i + 1),
      heldOut: { textLoss, exact: i / 4 },
    }));
    expect(
      tilesOf(records, {
        maxSteps: 30,
        savedStep: 0,
        perStep: { count: 8, unit: 'texts' },
        parameters: null,
      }),
    ).toEqual([
      { name: 'Steps', value: '30', note: 'of 30' },
      { name: 'Best held-out score', value: '50.0 %', note: 'values exact, at step 30' },
      { name: 'Best held-out text loss', value: '2', note: 'at step 20' },
    ]);
  });
});

describe('example plans', () => {
  const right = { '1': '1', '1 + 2': '1 + 2', '3 + 4': '3 + 4', '1 + 2 * 3': '1 + 2 * 3' };
  const wrong = { '5 + 6': '5 - 6', '2 + 2': '2 * 2', '7 * 7 - 7': '7' };
  const chosen = async (read: Readonly<Record<string, string>>, count: number) =>
    chooseExamples(await answersOf(read), count).map(({ text, verdict }) => `${text}: ${verdict}`);

  it('are wrong ones first, up to half of them, and each half as different as can be', async () => {
    expect(await chosen({ ...right, ...wrong }, 4)).toEqual([
      '7 * 7 - 7: wrong',
      '5 + 6: wrong',
      '1 + 2 * 3: right',
      '1 + 2: right',
    ]);
  });

  it('are more of one kind where the other has too few', async () => {
    expect(await chosen(right, 3)).toEqual(['1 + 2 * 3: right', '1 + 2: right', '1: right']);
    expect(await chosen({ ...wrong, '1': '1' }, 9)).toEqual([
      '7 * 7 - 7: wrong',
      '5 + 6: wrong',
      '2 + 2: value right, plan wrong',
      '1: right',
    ]);
    expect(await chosen({ ...right, ...wrong }, 0)).toEqual([]);
  });

  it('have both plans, as expressions too', async () => {
    const [example] = chooseExamples(await answersOf({ 'two plus three': '2 - 3' }), 1);
    expect(example).toEqual({
      ...{ text: 'two plus three', verdict: 'wrong' },
      ...{ value: -1, refused: null, expression: '2 - 3', predicted: tensorize('2 - 3', { depth: 4 }) },
      ...{ expected: 5, trueExpression: '2 + 3', true: tensorize('2 + 3', { depth: 4 }) },
    });
  });

  it('say why a text was refused, in place of a value', async () => {
    const answers = await answersOf({ '1 + 2': '1 + 2' });
    const refusal = { ok: false, value: NaN, refused: 'it is not clear' };
    const [example] = chooseExamples(
      answers.map((answer) => ({ ...answer, ...refusal })),
      1,
    );
    expect(example).toMatchObject({ verdict: 'refused', refused: 'it is not clear' });
    const { text } = exampleCard(example!);
    expect(text).toContain('<code>1 + 2</code> refused: it is not clear');
    expect(text).not.toContain('NaN');
  });
});

describe('HTML', () => {
  it('escapes every value but HTML itself', () => {
    const inner = html`<b>${'a < b & "c"'}</b>`;
    expect(html`<p title="${`'"`}">${inner}${null}${[1, html`<i></i>`]}</p>`.text).toBe(
      '<p title="&#39;&#34;"><b>a &#60; b &#38; &#34;c&#34;</b>1<i></i></p>',
    );
  });
});

describe('the page of a run', () => {
  it('holds nothing that is not in it: no address, no file', async () => {
    const page = await reportPage(await exampleReport());
    expect(page.match(/<(?:link|img|iframe|object|base)\b|@import|\burl\(/g)).toBe(null);
    expect(page).toContain('content="default-src &#39;none&#39;;');
  });

  it('escapes what comes from files', async () => {
    const page = await reportPage(await exampleReport());
    expect(page).not.toContain('<img');
    expect(page).not.toContain('<b>/checkpoints');
    expect(page).toContain('<h1>&#60;img');
    expect(NAME).toContain('<img');
  });

  it('says how many lines of the metrics were damaged, and why there are no plans', async () => {
    const page = await reportPage({
      ...(await exampleReport()),
      damaged: 1,
      evaluation: { reason: 'the checkpoint holds <another> model.' },
    });
    expect(page).toContain('One line of metrics.jsonl is damaged and was skipped.');
    expect(page).toContain('No plans are shown: the checkpoint holds &#60;another&#62; model.');
    expect(page).not.toContain('class="plan"');
  });
});
