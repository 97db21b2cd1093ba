import { loadWasm } from '@dag/executor/wasm';
import { ProblemModel, type SolvedProblem } from '@dag/model/problems';
import weights from '@dag/model/weights/problems/model.safetensors?url';
import { html, shortNumber, type Html } from '@dag/tensorize/draw';
import { element, percent, show } from './page.js';
import { problemOf } from './problem.js';
import { planOf } from './shown.js';
import type { State } from './state.js';
import { showPlan } from './views/plan.js';

const answer = element('answer');
const numbers = element('numbers');

type Solved = SolvedProblem | { readonly text: string; readonly problem: string };

/** Fetches the model of word problems. Returns what shows its answers. */
export async function loadSolving(): Promise<(state: State) => void> {
  // Without WebAssembly with SIMD the reference in TypeScript calculates, slowly.
  const ready = loadWasm().catch((error: unknown) => console.info(String(error)));
  const model = await ProblemModel.fetch(weights, { ready });
  let last: Solved | null = null;
  return (state) => {
    const solved: Solved = last?.text === state.text ? last : solve(model, state.text);
    last = solved;
    showValue(solved);
    show(numbers, 'problem' in solved ? state.text : withNumbers(solved));
    showPlan(state, 'problem' in solved ? null : planOf(state, solved, 0, 0));
  };
}

function solve(model: ProblemModel, text: string): Solved {
  if (text.trim() === '') return { text, problem: '' };
  try {
    return model.predict(text);
  } catch (error) {
    return { text, problem: problemOf(error) };
  }
}

function showValue(solved: Solved): void {
  if ('problem' in solved) {
    const why =
      solved.problem === '' ? 'Type a problem, or choose an example.' : `Refused: ${solved.problem}.`;
    return show(answer, html`<p class="reason">${why}</p>`);
  }
  const { value, raw, confidence } = solved;
  const same = Math.abs(value - raw) <= 1e-9 * Math.abs(value);
  show(
    answer,
    html`<p class="value"><span class="equals">=</span> <output>${shortNumber(value)}</output></p>
      <p class="muted">
        ${percent(confidence)} sure
        <span class="meter" aria-hidden="true"><i style="width:${100 * confidence}%"></i></span>
      </p>
      <p class="rules">
        <span title="The most probable plan, whatever its value">By the text alone</span>
        <b>${shortNumber(raw)}</b
        >${same ? '.' : ': its value speaks against it, as values that are negative or broken do.'}
      </p>`,
  );
}

/** The text, whose numbers point at their nodes. */
function withNumbers({ text, numbers }: SolvedProblem): Html {
  let from = 0;
  const parts = numbers.map(({ begin, end, isUsed }, i) => {
    const before = text.slice(from, begin);
    from = end;
    const said = isUsed ? 'is read' : 'is left out';
    return html`${before}<span class="${isUsed ? 'used' : 'unread'}" data-refs="n${i}" title="n${i}, ${said}"
        >${text.slice(begin, end)}</span
      >`;
  });
  return html`${parts}${text.slice(from)}`;
}
