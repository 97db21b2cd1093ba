import { html, type Html } from '@dag/tensorize/draw';
import { element, setEnabled, show } from '../page.js';
import { partsOf, refusalOfValue, withPart, type Part } from '../parts.js';
import type { Shown, ShownPlan } from '../shown.js';
import { update, type State } from '../state.js';
import { signed } from './graph.js';

const inspector = element('inspector');
const asPredicted = element('as-predicted');
const gradientsBox = element<HTMLInputElement>('gradients');
const gradientsWord = element('gradients-word');

let shown: { plan: ShownPlan; parts: readonly Part[] } | null = null;

asPredicted.addEventListener('click', () => update({ edited: null }));
gradientsBox.addEventListener('change', () => update({ gradients: gradientsBox.checked }));

inspector.addEventListener('input', ({ target }) => {
  if (!(target instanceof HTMLInputElement) || !shown) return;
  const part = shown.parts[Number(target.dataset['part'])];
  if (!part) return;
  const refusal = refusalOfValue(part, target.value);
  target.setAttribute('aria-invalid', String(refusal !== null));
  inspector.querySelector(`[data-problem="${target.dataset['part']}"]`)!.textContent = refusal ?? '';
  if (refusal === null) update({ edited: withPart(shown.plan.tensors, part, Number(target.value)) });
});

export function showInspector(state: State, { plan }: Pick<Shown, 'plan'>): void {
  setEnabled(asPredicted, state.edited !== null);
  gradientsBox.checked = state.gradients;
  gradientsWord.hidden = !state.gradients;
  shown = null;
  if (!plan) return;
  // The parts of the plan as predicted, so that the ends of a slider do not move with it.
  const parts = state.selected === null ? [] : partsOf(state.selected, plan.prediction.tensors);
  shown = { plan, parts };
  show(
    inspector,
    parts.length === 0
      ? html`<p class="muted">
          Choose a number, a step or a coefficient to change it; the value and the gradients follow.
        </p>`
      : html`${parts.map((part, i) => control(part, i))}`,
  );
  // Values are set apart from the markup: what is being typed or dragged stays as it is.
  parts.forEach(({ field, index, name }, i) => {
    const value = plan.tensors[field][index]!;
    for (const input of inspector.querySelectorAll<HTMLInputElement>(`[data-part="${i}"]`)) {
      if (input === document.activeElement) continue;
      input.value = String(value);
      if (input.type !== 'text') continue;
      input.setAttribute('aria-invalid', 'false');
      inspector.querySelector(`[data-problem="${i}"]`)!.textContent = '';
    }
    const gradient = inspector.querySelector(`[data-gradient="${i}"]`)!;
    gradient.textContent = `∂ ${signed(plan.gradients[field][index]!)}`;
    gradient.setAttribute('aria-label', `gradient of the value by ${name}`);
  });
}

const HINTS: Readonly<Record<Part['field'], string>> = {
  V_mag: '',
  V_sign: '−1 negative, 1 positive',
  O: '1 adds or multiplies, −1 subtracts or divides, 0 leaves out',
  G: '0 log (× ÷), 1 linear (+ −)',
};

const control = ({ field, name, least, most }: Part, i: number): Html =>
  html`<div class="control">
    <label for="part-${i}">${name}</label>
    <input
      id="part-${i}"
      data-part="${i}"
      type="text"
      inputmode="decimal"
      autocomplete="off"
      aria-describedby="problem-${i}"
    />
    <input
      data-part="${i}"
      type="range"
      min="${least}"
      max="${most}"
      step="${field === 'V_mag' ? (most > 20 ? 0.5 : 0.1) : 0.05}"
      aria-label="${name}, slider"
    />
    <span class="gradient" data-gradient="${i}" role="note"></span>
    <p class="muted" id="problem-${i}">
      <span class="problem" data-problem="${i}" role="alert"></span> ${HINTS[field]}
    </p>
  </div>`;
