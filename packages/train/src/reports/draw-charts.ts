/// <reference lib="dom" />
/* global document, getComputedStyle, HTMLElement, matchMedia, ResizeObserver */
import type uPlot from 'uplot';
import type { Chart, Series } from './charts.js';

/**
 * Draws the charts into the page's elements `[data-chart]`, by their index. The page contains the source of this function
 * and runs it in the browser, so it may use only its arguments and what it defines itself.
 */
export function drawCharts(UPlot: typeof uPlot, charts: readonly Chart[]): void {
  const HEIGHT = 260;
  const color = (name: string): string =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const colorOf = (chart: Chart, { group }: Series): string => {
    if (!chart.ordered) return color(`series-${group % 8}`);
    const last = Math.max(1, ...chart.series.map((s) => s.group));
    return `hsl(${225 + (170 * group) / last} 70% ${color('ordered-lightness')})`;
  };

  const step = (x: number | null): string => (x === null ? '' : x.toLocaleString('en-US'));
  const number = (v: number): string =>
    v !== 0 && (Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3)
      ? v
          .toExponential(2)
          .replace(/\.?0+e/, 'e')
          .replace('e+', 'e')
      : Number(v.toPrecision(4)).toLocaleString('en-US', { maximumFractionDigits: 6 });
  const percent = (v: number): string => `${Number((100 * v).toFixed(1))} %`;

  const formatOf = ({ scale }: Chart): ((v: number) => string) =>
    scale === 'share' || scale === 'small-share' ? percent : number;
  const formatX = ({ x }: Chart, v: number | null): string =>
    x === 'step' || v === null ? step(v) : percent(v);

  const seriesOf = (chart: Chart, s: Series): uPlot.Series => {
    const format = formatOf(chart);
    const stroke = colorOf(chart, s);
    const shared = { label: s.name, value: (_: uPlot, v: number | null) => (v === null ? '' : format(v)) };
    if (s.role === 'line')
      return {
        ...shared,
        stroke,
        width: 2,
        spanGaps: true,
        dash: !chart.ordered && s.group >= 8 ? [6, 4] : [],
        points: { show: chart.steps.length < 20, size: 6, fill: stroke },
      };
    // The legend hides series of this class: their line has an entry already.
    const behind = { ...shared, class: 'behind', points: { show: false } };
    return s.role === 'faint' ? { ...behind, stroke, width: 1, alpha: 0.28 } : { ...behind, width: 0 };
  };

  /** The nearest numbers with one significant digit below and above a positive number: the ends of a logarithmic axis. */
  const digitBelow = (x: number): number => Math.floor(x / magnitude(x)) * magnitude(x);
  const digitAbove = (x: number): number => Math.ceil(x / magnitude(x)) * magnitude(x);
  const magnitude = (x: number): number => 10 ** Math.floor(Math.log10(x));

  /** Axis ticks at powers of ten; if there are few, also at 2 and 5 times these. */
  const logSplits = (_: uPlot, __: number, low: number, high: number): number[] => {
    const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const factors = last - first > 3 ? [1] : [1, 2, 5];
    const every = Math.ceil((last - first) / 8);
    const splits: number[] = [];
    for (let e = first; e <= last; e += every) splits.push(...factors.map((factor) => factor * 10 ** e));
    return splits.filter((split) => split >= low && split <= high);
  };

  const rangeOf =
    (chart: Chart) =>
    (_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax => {
      if (chart.scale === 'share') return [0, 1];
      if (low === null || high === null) return [null, null];
      if (chart.scale === 'log') return [digitBelow(low), digitAbove(high)];
      return UPlot.rangeNum(Math.min(0, low), high, 0.1, true);
    };

  /** Shows the last values in the legend while no cursor is over the charts. */
  const showLast =
    (chart: Chart) =>
    (plot: uPlot): void => {
      if (plot.cursor.idx !== null && plot.cursor.idx !== undefined) return;
      // A diagonal goes beyond the last value.
      const values = chart.x === 'step' ? chart.steps : chart.series.at(-1)!.values;
      plot.setLegend({ idx: values.findLastIndex((v) => v !== null) });
    };

  const optionsOf = (chart: Chart, width: number): uPlot.Options => {
    const axis = {
      stroke: color('muted'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: color('line'), width: 1 },
      ticks: { show: false },
    };
    const format = formatOf(chart);
    const high = chart.series.findIndex((s) => s.role === 'high');
    return {
      width,
      height: HEIGHT,
      scales: {
        x: { time: false, ...(chart.x === 'step' ? {} : { range: (): uPlot.Range.MinMax => [0, 1] }) },
        y: { distr: chart.scale === 'log' ? 3 : 1, range: rangeOf(chart) },
      },
      axes: [
        { ...axis, values: (_, steps) => steps.map((v) => formatX(chart, v)), space: 70, size: 34 },
        {
          ...axis,
          values: (_, values) => values.map((v) => (v === null ? '' : format(v))),
          size: 62,
          ...(chart.scale === 'log'
            ? { splits: logSplits, filter: (_: uPlot, splits: number[]) => splits }
            : {}),
        },
      ],
      series: [
        { label: chart.x, value: (_, x: number | null) => formatX(chart, x) },
        ...chart.series.map((s) => seriesOf(chart, s)),
      ],
      legend: { markers: { width: 0, fill: (_, i) => colorOf(chart, chart.series[i - 1]!) } },
      hooks: { ready: [showLast(chart)], setCursor: [showLast(chart)] },
      bands: high < 0 ? [] : [{ series: [high + 1, high + 2], fill: color('band') }],
      cursor: { sync: { key: chart.x, setSeries: false }, drag: { setScale: true, x: true, y: false } },
    };
  };

  const places = Array.from(document.querySelectorAll<HTMLElement>('[data-chart]'));
  const chartAt = (place: HTMLElement): Chart => charts[Number(place.dataset['chart'])]!;
  const drawn = new Map<Element, uPlot>();
  const drawAll = (): void => {
    for (const place of places) {
      drawn.get(place)?.destroy();
      const chart = chartAt(place);
      const data = [chart.steps, ...chart.series.map(({ values }) => values)] as uPlot.AlignedData;
      drawn.set(place, new UPlot(optionsOf(chart, place.clientWidth), data, place));
    }
  };

  drawAll();
  // A canvas keeps the colours and size it was drawn with: redraw when these change.
  for (const query of ['(prefers-color-scheme: dark)', 'print'])
    matchMedia(query).addEventListener('change', drawAll);
  const resized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries)
      drawn.get(target)?.setSize({ width: Math.round(contentRect.width), height: HEIGHT });
  });
  for (const place of places) resized.observe(place);
}
