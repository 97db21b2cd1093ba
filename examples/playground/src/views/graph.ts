import { html, planSvg, shortNumber, type PlanEdge, type PlanNode } from '@dag/tensorize/draw';
import { describe } from '@dag/tensorize';
import { element, moveByArrows, show } from '../page.js';
import type { Shown, ShownPlan } from '../shown.js';
import { update, type State } from '../state.js';

const graph = element('graph');
/** A larger drawing shows nobody anything, and takes seconds to lay out. */
const MOST_NODES = 150;

const select = (target: EventTarget | null): void => {
  const key = target instanceof Element ? target.closest('[data-key]')?.getAttribute('data-key') : null;
  if (key) update({ selected: key });
};
moveByArrows(graph);
graph.addEventListener('click', ({ target }) => select(target));
graph.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  select(event.target);
});

export const signed = (x: number): string => (x > 0 ? '+' : '') + shortNumber(Number(x.toPrecision(4)));

/** The gradient of the value by an edge's coefficient, or by an initial node's number. */
function gradientOf(of: PlanEdge | PlanNode, { tensors, gradients }: ShownPlan): number | null {
  const row = Number(('operand' in of ? of.to : of.name).slice(1));
  if ('operand' in of) return gradients.O[2 * tensors.depth * row + of.operand]!;
  if (of.gate !== null) return null;
  // The number is V_sign · V_mag.
  const [magnitude, sign] = [tensors.V_mag[row]!, tensors.V_sign[row]!];
  if (sign !== 0) return gradients.V_mag[row]! / sign;
  return magnitude === 0 ? 0 : gradients.V_sign[row]! / magnitude;
}

export function showGraph(state: State, { plan }: Pick<Shown, 'plan'>): void {
  if (!plan) return;
  const { nodes } = plan.graph;
  if (nodes.length > MOST_NODES) {
    show(
      graph,
      html`<p class="muted">
        The plan has ${nodes.length} nodes, too many to draw; its steps stand beside.
      </p>`,
    );
    return;
  }
  const note = (of: PlanEdge | PlanNode): string => {
    const gradient = state.gradients ? gradientOf(of, plan) : null;
    return gradient === null ? '' : `∂ ${signed(gradient)}`;
  };
  const focused = graph.contains(document.activeElement)
    ? document.activeElement?.getAttribute('data-key')
    : null;
  show(graph, planSvg(plan.graph, { label: `The plan: ${describe(plan.tensors)}`, note }).text);
  const steps = nodes.filter(({ gate }) => gate !== null).map(({ name }) => name);
  const done = new Set(steps.slice(0, state.executed ?? steps.length));
  const now = state.executed === null ? null : (steps[state.executed - 1] ?? null);
  // The drawing is a picture where it stands alone; here its parts are buttons.
  graph.querySelector('svg')?.setAttribute('role', 'group');
  const parts = [...graph.querySelectorAll<SVGGElement>('.node, .edge')];
  const keyOf = ({ dataset }: SVGGElement): string => (dataset['node'] ?? dataset['edge'])!;
  const tabbable = parts.map(keyOf).find((key) => key === focused) ?? nodes[0]?.name;
  for (const part of parts) {
    const { node } = part.dataset;
    const key = keyOf(part);
    const of = plan.graph.nodes.find(({ name }) => name === node);
    const isDone = of ? of.gate === null || done.has(of.name) : done.has(key.split(':')[0]!);
    part.dataset['key'] = part.dataset['refs'] = key;
    part.setAttribute('tabindex', key === tabbable ? '0' : '-1');
    part.setAttribute('role', 'button');
    // What is written in it, so that speech input finds it by what one sees.
    const written = [...part.querySelectorAll('text')].map(({ textContent }) => textContent).join(' ');
    part.setAttribute('aria-label', of ? written : `${written}, coefficient ${key}`);
    part.classList.toggle('waits', !isDone);
    part.classList.toggle('now', key === now);
    part.classList.toggle('selected', key === state.selected);
    if (key === focused && part !== document.activeElement) part.focus();
  }
}
