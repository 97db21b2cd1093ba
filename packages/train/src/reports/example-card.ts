import { execute } from '@dag/executor';
import { describe, type DagTensors } from '@dag/tensorize';
import {
  differences,
  html,
  planGraph,
  planSvg,
  shortNumber,
  type Differences,
  type Html,
  type PlanGraph,
} from '@dag/tensorize/draw';

/** A text with its predicted plan and its true plan, both of size 1. */
export interface Example {
  readonly text: string;
  readonly verdict: 'right' | 'value right, plan wrong' | 'wrong' | 'refused';
  readonly predicted: DagTensors;
  readonly value: number;
  /** Why the model refused the text; null where it did not. Then `value` is NaN. */
  readonly refused: string | null;
  /** The predicted plan as an expression; empty if it cannot be written as one. */
  readonly expression: string;
  readonly true: DagTensors;
  readonly expected: number;
  /** The text as an expression. */
  readonly trueExpression: string;
}

/** The card of an example, with both plans as graphs side by side. */
export function exampleCard(example: Example): Html {
  const { text, verdict, predicted, value, refused, expression, expected, trueExpression } = example;
  const graph = planGraph(predicted, execute);
  const trueGraph = planGraph(example.true, execute);
  return html`<article class="card example">
    <header>
      <h3>${text}</h3>
      <span class="badge ${verdict === 'right' ? 'right' : 'wrong'}">${verdict}</span>
    </header>
    <div class="pair">
      ${drawing('predicted', predicted, graph, differences(graph, trueGraph), refused ?? value, expression)}
      ${drawing('true', example.true, trueGraph, differences(trueGraph, graph), expected, trueExpression)}
    </div>
  </article>`;
}

/** @param value Of the plan, or why the text was refused. */
function drawing(
  kind: 'predicted' | 'true',
  plan: DagTensors,
  graph: PlanGraph,
  marked: Differences,
  value: number | string,
  expression: string,
): Html {
  const shown = typeof value === 'number' ? html`= <b>${shortNumber(value)}</b>` : `refused: ${value}`;
  return html`<figure class="${kind}">
    <figcaption>
      <b>${kind === 'predicted' ? 'Predicted' : 'True'}</b> <code>${expression}</code> ${shown}
    </figcaption>
    <div class="drawing">${planSvg(graph, { marked, label: `${kind} plan: ${describe(plan)}` })}</div>
  </figure>`;
}
