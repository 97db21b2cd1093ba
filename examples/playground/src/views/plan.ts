import { relight } from '../linked.js';
import { element } from '../page.js';
import type { ShownPlan } from '../shown.js';
import type { State } from '../state.js';
import { showCode } from './code.js';
import { showGraph } from './graph.js';
import { showInspector } from './inspector.js';
import { showSteps } from './steps.js';
import { showTensors } from './tensors.js';

const card = element('plan');

/** Draws a plan wherever the page shows it; null where there is none. */
export function showPlan(state: State, plan: ShownPlan | null): void {
  card.hidden = plan === null;
  showGraph(state, { plan });
  showSteps(state, { plan });
  showInspector(state, { plan });
  showTensors(state, { plan });
  showCode(state, { plan });
  relight();
}
