import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { confidenceCharts, type Chart, type Charts } from './charts.js';
import { drawCharts } from './draw-charts.js';
import { exampleCard, type Example } from './example-card.js';
import { html, Html } from '@dag/tensorize/draw';
import { scoresSection, type Scored } from './scores.js';
import { STYLE } from './style.js';
import type { Tile } from './tiles.js';

/** The contents of a report page. */
export interface Report {
  readonly name: string;
  readonly tiles: readonly Tile[];
  readonly charts: Charts;
  readonly checkpoint: { readonly folder: string; readonly step: number };
  /** The evaluation of the checkpoint on held-out expressions, or the reason why there is none. */
  readonly evaluation: Evaluation | { readonly reason: string };
  /** The configuration of the run. */
  readonly config: unknown;
  /** The number of damaged lines in the metrics. */
  readonly damaged: number;
  readonly written: Date;
}

export interface Evaluation extends Scored {
  /** The examples whose plans are drawn. */
  readonly examples: readonly Example[];
}

/** Renders a report as one self-contained HTML page, which loads nothing else. */
export async function reportPage(report: Report): Promise<string> {
  const { name, tiles, charts, checkpoint, evaluation, config } = report;
  const confidence = 'reason' in evaluation ? undefined : evaluation.summary.reliability;
  const all: Chart[] = [];
  const figures = (some: readonly Chart[]): Html[] => some.map((chart) => figure(chart, all.push(chart) - 1));
  const body = html`<main>
    <p class="kicker">Training run</p>
    <h1>${name}</h1>
    <p class="lead">Best checkpoint: <code>${checkpoint.folder}</code></p>
    <dl class="tiles">
      ${tiles.map(
        ({ name, value, note }) =>
          html`<div class="tile">
            <dt>${name}</dt>
            <dd>${value}</dd>
            <p>${note}</p>
          </div>`,
      )}
    </dl>
    <noscript><p class="lead">The charts need scripts; the tables and plans do not.</p></noscript>
    ${section('Loss', figures(charts.loss), 'grid')} ${section('Accuracy', figures(charts.heldOut), 'grid')}
    ${'reason' in evaluation ? null : scoresSection(evaluation, checkpoint.step)}
    ${section('Confidence', figures(confidence ? confidenceCharts(confidence) : []), 'grid')}
    ${section('Optimisation', figures(charts.optimiser), 'grid three')} ${plansSection(evaluation)}
    <h2>Configuration</h2>
    <details class="card">
      <summary>All keys of the run</summary>
      <pre>${JSON.stringify(config, null, 2)}</pre>
    </details>
    <footer>
      Written by dag report on ${report.written.toISOString().slice(0, 16).replace('T', ' ')} UTC.
      ${report.damaged === 0 ? null : damagedLines(report.damaged)}
    </footer>
  </main>`;
  return wholePage(name, body, await chartsScript(), all);
}

const damagedLines = (n: number): string =>
  n === 1
    ? 'One line of metrics.jsonl is damaged and was skipped.'
    : `${n} lines of metrics.jsonl are damaged and were skipped.`;

async function wholePage(
  name: string,
  body: Html,
  script: string,
  charts: readonly Chart[],
): Promise<string> {
  const style = (await asset('uplot/dist/uPlot.min.css')) + STYLE;
  // Whatever the files of a run contain, the page loads nothing and runs only this script.
  const hash = createHash('sha256').update(script).digest('base64');
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`;
  // The contents of a script element cannot be HTML-escaped, so `<` is escaped as JSON does.
  const data = JSON.stringify(charts).replaceAll('<', '\\u003c');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${name} · training run</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body>
        ${body}
        <script type="application/json" id="charts">
          ${new Html(data)}
        </script>
        ${new Html(`<script>${script}</script>`)}
      </body>
    </html> `.text;
}

/** The page's script: uPlot with its licence, and the call of `drawCharts`. */
async function chartsScript(): Promise<string> {
  const [licence, uPlot] = await Promise.all([asset('uplot/LICENSE'), asset('uplot/dist/uPlot.iife.min.js')]);
  const draw = `(${drawCharts.toString()})(uPlot, JSON.parse(document.getElementById('charts').textContent));`;
  return `/*\n${licence}*/\n${uPlot}\n${draw}`;
}

const asset = (path: string): Promise<string> =>
  readFile(createRequire(import.meta.url).resolve(path), 'utf8');

const section = (title: string, figures: readonly Html[], layout: string): Html | null =>
  figures.length === 0
    ? null
    : html`<h2>${title}</h2>
        <div class="${layout}">${figures}</div>`;

const figure = ({ title, note, scale }: Chart, index: number): Html =>
  html`<figure class="card">
    <figcaption>
      <h3>${title}</h3>
      <p>${[note, scale === 'log' && 'logarithmic scale'].filter(Boolean).join('; ')}</p>
    </figcaption>
    <div class="plot" data-chart="${index}"></div>
  </figure>`;

function plansSection(evaluation: Report['evaluation']): Html | null {
  if ('reason' in evaluation)
    return html`<h2>Plans</h2>
      <p class="lead">No plans are shown: ${evaluation.reason}</p>`;
  const { examples } = evaluation;
  if (examples.length === 0) return null;
  const order = examples[0]!.verdict === 'right' ? '' : ', wrong ones first';
  return html`<h2>Plans</h2>
    <p class="lead">
      Held-out expressions${order}. Round boxes are the numbers of the text, square ones steps: a linear step
      sums its operands times their coefficients, a log step multiplies its operands raised to their
      coefficients. Every node shows its value; the thick border marks the result. Dashed lines mark where the
      predicted and the true plan differ.
    </p>
    ${examples.map(exampleCard)}`;
}
