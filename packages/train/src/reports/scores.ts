import type { PrefixScore, Score, Summary } from '../evaluation/evaluate.js';
import { percent } from '../evaluation/table.js';
import { html, type Html } from '@dag/tensorize/draw';
import { whole } from './tiles.js';

/** Scores on held-out texts that the page shows. */
export interface Scored {
  readonly summary: Summary;
  /** Scores by overlap with training texts: prefixes and skeletons. */
  readonly seen: Readonly<Record<string, Summary>>;
  /** Right values at every prefix of the texts; null of a model that predicts none. */
  readonly prefixes: PrefixScore | null;
}

/** The score table by operations, and collapsed tables by other properties of the texts. */
export function scoresSection({ summary, seen, prefixes }: Scored, step: number): Html {
  const groups = [
    ['by digits of the longest number', summary.byDigits, 'digits'],
    ['by levels of parentheses', summary.byNesting, 'levels'],
    ['by style', summary.byStyle, ''],
    ['by overlap with training texts', seen, ''],
  ] as const;
  const others = groups.filter(([, scores]) => Object.keys(scores).length > 1);
  return html`<h2>Accuracy of the best checkpoint</h2>
    <p class="lead">
      Step ${whole(step)}, on ${whole(summary.count)} held-out expressions that selected no checkpoint, with
      95 % confidence intervals (Wilson).
      ${
        prefixes &&
        html`Of the ${whole(prefixes.count)} prefixes of these texts that are expressions,
        ${whole(prefixes.right)} have the right value.`
      }
    </p>
    <div class="card">${scoreTable(summary.byOperations, 'operations', summary)}</div>
    ${others.map(
      ([name, scores, unit]) =>
        html`<details class="card">
          <summary>${name[0]!.toUpperCase() + name.slice(1)}</summary>
          ${scoreTable(scores, unit)}
        </details>`,
    )}`;
}

function scoreTable(scores: Readonly<Record<string, Score>>, unit: string, total?: Score): Html {
  return html`<div class="scores" role="table">
    <div role="row">
      <span role="columnheader">${unit}</span>
      <span role="columnheader" class="amount texts">texts</span>
      <span role="columnheader">value right</span>
      <span role="columnheader" class="amount"></span>
      <span role="columnheader" class="amount plans">plan right</span>
    </div>
    ${Object.entries(scores).map(([name, score]) => scoreRow(name, score))}
    ${total ? scoreRow('all', total, 'total') : null}
  </div>`;
}

function scoreRow(name: string, { count, value, plan, intervals }: Score, kind = ''): Html {
  const [low, high] = intervals.value;
  return html`<div role="row" class="${kind}">
    <span role="cell" class="name">${name}</span>
    <span role="cell" class="amount texts">${whole(count)}</span>
    <span role="cell">
      <span class="bar">
        <i style="width:${share(value)}"></i>
        <i class="interval" style="left:${share(low)};right:${share(1 - high)}"></i>
      </span>
    </span>
    <span role="cell" class="amount">
      ${percent(value)} <span class="muted">(${percentRange(low, high)})</span>
    </span>
    <span role="cell" class="amount plans">${percent(plan)}</span>
  </div>`;
}

const share = (x: number): string => `${Number((100 * x).toFixed(2))}%`;
const percentRange = (low: number, high: number): string =>
  `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}`;
