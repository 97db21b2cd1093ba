import { html, Html, shortNumber, type PlanGraph } from '@dag/tensorize/draw';
import { describe } from '@dag/tensorize';
import { element, show } from '../page.js';
import type { Shown, ShownPlan } from '../shown.js';
import { current, update, type State } from '../state.js';

const steps = element('steps');
const expression = element('expression');
const executed = element('executed');

const count = (graph: PlanGraph): number => graph.nodes.filter(({ gate }) => gate !== null).length;
let shown: ShownPlan | null = null;

/** Executes up to that step. */
function go(to: number): void {
  if (!shown) return;
  const all = count(shown.graph);
  update({ executed: to >= all ? null : Math.max(0, to) });
}
const at = (): number => current().executed ?? (shown ? count(shown.graph) : 0);
let timer: ReturnType<typeof setInterval> | undefined;
const onClick = (id: string, act: () => void): void =>
  element(id).addEventListener('click', () => {
    clearInterval(timer);
    act();
  });
onClick('first', () => go(0));
onClick('back', () => go(at() - 1));
onClick('on', () => go(at() + 1));
onClick('play', () => {
  go(0);
  const plan = shown?.prediction;
  timer = setInterval(() => {
    // Stops at the end, or when another plan is shown.
    if (shown?.prediction !== plan || current().executed === null) clearInterval(timer);
    else go(at() + 1);
  }, 900);
});

export function showSteps(state: State, { plan }: Pick<Shown, 'plan'>): void {
  shown = plan;
  if (!plan) return;
  const { graph } = plan;
  const all = count(graph);
  const done = state.executed ?? all;
  const { numbers, lines } = described(plan);
  const rows = lines.map((line, i) => {
    const name = /^s\d+/.exec(line)?.[0];
    const isResult = name === undefined;
    const value = isResult ? plan.value : graph.nodes.find((node) => node.name === name)?.value;
    const isDone = i < done || (isResult && done === all);
    const state = !isDone ? 'waits' : i === done - 1 ? 'now' : '';
    return html`<li class="${state}" data-refs="${name ?? graph.result}">
      <code>${linked(line, graph, name)}</code>
      <span class="is">${isDone ? `= ${shortNumber(value ?? NaN)}` : '= ?'}</span>
    </li>`;
  });
  show(steps, html`${numbers === '' ? null : html`<li><code>${linked(numbers, graph)}</code></li>`} ${rows}`);
  const last = lines[done - 1];
  const name = last && /^s\d+/.exec(last)?.[0];
  const value = graph.nodes.find((node) => node.name === name)?.value;
  executed.textContent =
    done === 0
      ? `0 of ${all} steps: the numbers stand ready`
      : `${done} of ${all} steps` +
        (state.executed !== null && last ? `: ${last} = ${shortNumber(value!)}` : '');
  show(expression, expressionParts(plan));
}

/** What `describe` writes: the numbers, and a line for each step and for the value. */
function described({ tensors }: ShownPlan): { numbers: string; lines: string[] } {
  const all = describe(tensors)
    .replace(/\n {5}/g, ' ')
    .split('\n');
  const isNumbers = (line: string): boolean => line.startsWith('n');
  // A number stays beside its name.
  const numbers = all.filter(isNumbers).join('   ').replaceAll(' = ', '\u00a0=\u00a0');
  return { numbers, lines: all.filter((line) => !isNumbers(line)) };
}

/** A line in which every name of a node points at it, and in a step at its coefficient too. */
function linked(line: string, graph: PlanGraph, step?: string): Html[] {
  return line.split(/\b([ns]\d+)\b/).map((part, i) => {
    if (i % 2 === 0) return html`${part}`;
    const edge = graph.edges.find(({ from, to }) => from === part && to === step);
    return html`<span data-refs="${part}${edge ? ` ${edge.to}:${edge.operand}` : ''}">${part}</span>`;
  });
}

/** The plan as an expression, whose digits point at their nodes: the first node of that magnitude that no digits point at. */
function expressionParts({ expression, graph, value }: ShownPlan): Html {
  if (expression === '')
    return html`<span class="muted"
      >none: a sign or a domain is between its two values, or it would be too long. The value is
      ${shortNumber(value)}.</span
    >`;
  const free = graph.nodes.filter(({ gate }) => gate === null);
  const parts = expression.split(/(\d[\d.]*(?:e[+-]?\d+)?)/).map((part, i) => {
    if (i % 2 === 0) return html`${part}`;
    const found = free.findIndex((node) => Math.abs(node.value) === Number(part));
    if (found < 0) return html`${part}`;
    return html`<span data-refs="${free.splice(found, 1)[0]!.name}">${part}</span>`;
  });
  return html`${parts} <span class="is">= ${shortNumber(value)}</span>`;
}
