import { PLAN_STYLE } from '@dag/tensorize/draw';
import { linkHighlights, relight } from './linked.js';
import { element } from './page.js';
import { isRead, loadModel, read } from './reading.js';
import { problemOf } from './problem.js';
import { shownOf } from './shown.js';
import { current, subscribe, update, type State } from './state.js';
import { setUpTheme } from './theme.js';
import { showAnswer } from './views/answer.js';
import { showCode } from './views/code.js';
import { showExamples } from './views/examples.js';
import { showGraph } from './views/graph.js';
import { showInspector } from './views/inspector.js';
import { showSteps } from './views/steps.js';
import { showTensors } from './views/tensors.js';
import { showTokens } from './views/tokens.js';

const text = element<HTMLTextAreaElement>('text');
const plan = element('plan');

/** Milliseconds. */
const [SLOW, PAUSE] = [400, 250];

document.head.append(Object.assign(document.createElement('style'), { textContent: PLAN_STYLE }));
setUpTheme();
linkHighlights();
showExamples();
text.value = current().text;
text.addEventListener('input', () => update({ text: text.value }));

try {
  const model = await loadModel();
  const showPlan = (given: State): void => {
    const shown = shownOf(model, given);
    const { state } = shown;
    showTokens(state, shown);
    plan.hidden = shown.plan === null;
    showGraph(state, shown);
    showSteps(state, shown);
    showInspector(state, shown);
    showTensors(state, shown);
    showCode(state, shown);
    relight();
  };
  const showText = (): void => {
    const started = performance.now();
    showAnswer(read(model, current().text));
    // The answer is on the screen before its plan is drawn.
    requestAnimationFrame(() => soon(() => showPlan(current()), 0));
    lastTook = performance.now() - started;
  };
  let lastTook = 0;
  let pending: ReturnType<typeof setTimeout> | undefined;
  const soon = (what: () => void, ms: number): void => {
    clearTimeout(pending);
    pending = setTimeout(what, ms);
  };
  const show = (state: State): void => {
    if (text.value !== state.text) text.value = state.text;
    if (isRead(state.text)) showPlan(state);
    // Long texts take a while: they are read when the typing pauses.
    else if (lastTook > SLOW) soon(showText, PAUSE);
    else showText();
  };
  subscribe(show);
  show(current());
  performance.mark('first answer');
  // What the first answer does not need comes after it.
  void import('./views/training.js').then(
    ({ setUpTraining }) => setUpTraining(),
    failed('training', 'This part'),
  );
  void import('./views/files.js').then(({ setUpFiles }) => setUpFiles(model), failed('files', 'This part'));
} catch (error) {
  failed('answer', 'The model')(error);
}

/** Says in an element what cannot be loaded. */
function failed(id: string, what: string): (error: unknown) => void {
  return (error) => {
    const reason = Object.assign(document.createElement('p'), { className: 'reason' });
    reason.textContent = `${what} cannot be loaded: ${problemOf(error)}. Reload the page to try again.`;
    element(id).replaceChildren(reason);
  };
}
