import { html, PLAN_STYLE } from '@dag/tensorize/draw';
import { linkHighlights } from './linked.js';
import { element, show } from './page.js';
import { isRead, loadModel, read } from './reading.js';
import { problemOf } from './problem.js';
import { shownOf } from './shown.js';
import { current, subscribe, update, type Kind, type State } from './state.js';
import { setUpTheme } from './theme.js';
import { showAnswer } from './views/answer.js';
import { showExamples } from './views/examples.js';
import { showKind } from './views/kinds.js';
import { showPlan } from './views/plan.js';
import { showTokens } from './views/tokens.js';

/** Shows what a model makes of the text. */
export type View = (state: State) => void;

const text = element<HTMLTextAreaElement>('text');

/** Milliseconds. */
const [SLOW, PAUSE] = [400, 250];

document.head.append(Object.assign(document.createElement('style'), { textContent: PLAN_STYLE }));
setUpTheme();
linkHighlights();
text.addEventListener('input', () => update({ text: text.value }));

/** Each kind of text has a model, which is loaded when the kind is chosen first. */
const LOAD: Readonly<Record<Kind, () => Promise<View>>> = {
  expression: loadReading,
  problem: async () => (await import('./solving.js')).loadSolving(),
  text: async () => (await import('./writing.js')).loadWriting(),
};
const views = new Map<Kind, View | 'loading'>();

function showState(state: State): void {
  const { kind } = state;
  if (text.value !== state.text) text.value = state.text;
  showKind(state);
  showExamples(state);
  const view = views.get(kind);
  if (typeof view === 'function') return view(state);
  if (views.size > 0) {
    show(element('answer'), html`<p class="muted">Loading the model …</p>`);
    element('plan').hidden = true;
  }
  if (view !== 'loading') void load(kind);
}

async function load(kind: Kind): Promise<void> {
  views.set(kind, 'loading');
  try {
    views.set(kind, await LOAD[kind]());
    if (current().kind === kind) showState(current());
  } catch (error) {
    views.delete(kind);
    if (current().kind === kind) failed('answer', 'The model')(error);
  }
}

async function loadReading(): Promise<View> {
  const model = await loadModel();
  const showWhole: View = (given) => {
    const { state, reading, plan } = shownOf(model, given);
    showTokens(state, { state, reading, plan });
    showPlan(state, plan);
  };
  const showText: View = ({ text }) => {
    const started = performance.now();
    showAnswer(read(model, text));
    // The answer is on the screen before its plan is drawn.
    requestAnimationFrame(() => soon(showWhole, 0));
    lastTook = performance.now() - started;
  };
  let lastTook = 0;
  let pending: ReturnType<typeof setTimeout> | undefined;
  const soon = (view: View, ms: number): void => {
    clearTimeout(pending);
    pending = setTimeout(() => {
      if (current().kind === 'expression') view(current());
    }, ms);
  };
  setTimeout(() => {
    // What the first answer does not need comes after it.
    void import('./views/training.js').then(
      ({ setUpTraining }) => setUpTraining(),
      failed('training', 'This part'),
    );
    void import('./views/files.js').then(({ setUpFiles }) => setUpFiles(model), failed('files', 'This part'));
  });
  return (state) => {
    if (isRead(state.text)) {
      showAnswer(read(model, state.text));
      showWhole(state);
    }
    // Long texts take a while: they are read when the typing pauses.
    else if (lastTook > SLOW) soon(showText, PAUSE);
    else showText(state);
  };
}

subscribe(showState);
showState(current());

/** Says in an element what cannot be loaded. */
function failed(id: string, what: string): (error: unknown) => void {
  return (error) =>
    show(
      element(id),
      html`<p class="reason">
        ${what} cannot be loaded: ${problemOf(error)}. Reload the page to try again.
      </p>`,
    );
}
