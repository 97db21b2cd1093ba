import { html, shortNumber, type Html } from '@dag/tensorize/draw';
import type { DagTensors } from '@dag/tensorize';
import { element, moveByArrows, show } from '../page.js';
import { nodeName } from '../parts.js';
import type { Shown } from '../shown.js';
import { update, type State } from '../state.js';

const tensors = element('tensors');
/** Of larger plans only the nodes and steps that the value depends on are shown. */
const MOST_WHOLE = 8;
/** Larger tables show nobody anything, and take seconds to draw. */
const MOST_CELLS = 5000;

tensors.addEventListener('click', ({ target }) => {
  const cell = target instanceof Element ? target.closest('[data-selects]') : null;
  const selects = cell?.getAttribute('data-selects');
  if (selects) update({ selected: selects });
});
moveByArrows(tensors);

export function showTensors({ selected }: State, { plan }: Pick<Shown, 'plan'>): void {
  if (!plan) return;
  const { depth, V_mag, V_sign, O, G } = plan.tensors;
  const predicted = plan.prediction.tensors;
  const whole = depth <= MOST_WHOLE;
  const live = new Set(plan.graph.nodes.map(({ name }) => name));
  const all = Array.from({ length: 2 * depth }, (_, node) => node);
  const nodes = whole ? all : all.filter((node) => live.has(nodeName(node, depth)));
  const steps = nodes.filter((node) => node >= depth).map((node) => node - depth);
  const cells = nodes.length * (steps.length + 2);
  if (cells > MOST_CELLS) {
    show(tensors, html`<p class="muted">The plan has ${cells} elements, too many to draw.</p>`);
    return;
  }
  const cell = (
    field: keyof DagTensors & string,
    value: number,
    before: number,
    selects: string,
    refs: string,
  ): Html =>
    html`<td
      class="${value === 0 ? 'zero' : ''} ${Object.is(value, before) ? '' : 'edited'} ${selects === selected ? 'selected' : ''}"
      data-refs="${refs}"
    >
      <button
        type="button"
        tabindex="-1"
        data-key="${field}:${selects}"
        data-selects="${selects}"
        aria-label="${field} ${selects}: ${shortNumber(value)}"
      >
        ${short(value)}
      </button>
    </td>`;
  const ofNodes = (field: 'V_mag' | 'V_sign', array: Float64Array): Html =>
    html`<tr>
      <th scope="row"><code>${field}</code></th>
      ${nodes.map((node) =>
        node < depth
          ? cell(field, array[node]!, predicted[field][node]!, `n${node}`, `n${node}`)
          : html`<td class="none" data-refs="${nodeName(node, depth)}">${short(array[node]!)}</td>`,
      )}
      <td class="gap"></td>
    </tr>`;
  const ofStep = (i: number): Html =>
    html`<tr>
      <th scope="row" data-refs="s${i}"><code>O</code> s${i}</th>
      ${nodes.map((node) => {
        const at = 2 * depth * i + node;
        return node < depth + i
          ? cell(
              'O',
              O[at]!,
              predicted.O[at]!,
              `s${i}:${node}`,
              `s${i}:${node}${O[at] === 0 ? '' : ` s${i} ${nodeName(node, depth)}`}`,
            )
          : html`<td class="none" title="A step reads only what stands before it">0</td>`;
      })}
      ${cell('G', G[i]!, predicted.G[i]!, `s${i}`, `s${i}`)}
    </tr>`;
  show(
    tensors,
    html`<table>
      <caption class="muted">
        <span>
          ${`Depth D = ${depth}: D numbers n0 …, then the results s0 … of D steps; the last is the value.`}
          ${whole ? null : 'Only what the value depends on is shown.'}
        </span>
      </caption>
      <thead>
        <tr>
          <th scope="col"><span class="hidden">array</span></th>
          ${nodes.map((node) => {
            const name = nodeName(node, depth);
            return html`<th scope="col" data-refs="${name}" class="${live.has(name) ? '' : 'unused'}">
              ${name}
            </th>`;
          })}
          <th scope="col"><code>G</code></th>
        </tr>
      </thead>
      <tbody>
        ${ofNodes('V_mag', V_mag)} ${ofNodes('V_sign', V_sign)} ${steps.map(ofStep)}
      </tbody>
    </table>`,
  );
  const first = tensors.querySelector<HTMLElement>('[data-key]');
  if (first && !tensors.querySelector('[data-key][tabindex="0"]')) first.tabIndex = 0;
}

const short = (value: number): string => shortNumber(Number(value.toPrecision(6)));
