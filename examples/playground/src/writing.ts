import { html, type Html } from '@dag/tensorize/draw';
import { element, show } from './page.js';
import { planOf } from './shown.js';
import { current, update, type State } from './state.js';
import { showPlan } from './views/plan.js';
import { promptOf, type FromWriting, type ToWriting } from './writing-messages.js';

const answer = element('answer');
const written = element('written');

type Written = Extract<FromWriting, { kind: 'written' }>;

/** Starts the language model in a worker. Returns what shows the texts that it writes. */
export async function loadWriting(): Promise<(state: State) => void> {
  const worker = new Worker(new URL('./writing-worker.ts', import.meta.url), { type: 'module' });
  let last: Written | null = null;
  let problem = '';
  let isWriting = false;
  const showAll = (state: State): void => {
    const said =
      problem !== ''
        ? problem
        : isWriting
          ? 'Writing …'
          : last
            ? `${last.calculations.length} computed.`
            : '';
    show(
      answer,
      html`<div class="row">
          <button
            type="button"
            class="primary"
            id="write"
            data-key="write"
            aria-disabled="${String(isWriting)}"
          >
            Write on
          </button>
        </div>
        <p class="${problem === '' ? 'muted' : 'reason'}">${said}</p>`,
    );
    if (!last) {
      show(written, html`<span class="muted">Nothing yet.</span>`);
      return showPlan(state, null);
    }
    const { calculations } = last;
    const end = calculations.length - 1;
    const chosen = Math.min(state.token ?? end, end);
    show(written, parts(last, chosen));
    showPlan(state, end < 0 ? null : planOf(state, calculations[chosen]!, chosen, end));
  };
  const showIfShown = (): void => {
    if (current().kind === 'text') showAll(current());
  };
  const write = (): void => {
    const { text } = current();
    if (isWriting || text.trim() === '') return;
    isWriting = true;
    problem = '';
    worker.postMessage({ prompt: promptOf(text) } satisfies ToWriting);
    showIfShown();
  };
  answer.addEventListener('click', ({ target }) => {
    if (target instanceof HTMLElement && target.id === 'write') write();
  });
  written.addEventListener('click', ({ target }) => {
    const chosen = target instanceof HTMLElement ? target.dataset['computed'] : undefined;
    if (chosen !== undefined) update({ token: Number(chosen) });
  });
  let isFirst = true;
  await new Promise<void>((ready, fail) => {
    worker.addEventListener('error', ({ message }) =>
      fail(new Error(message || 'the worker cannot be loaded')),
    );
    worker.addEventListener('message', ({ data }: MessageEvent<FromWriting>) => {
      switch (data.kind) {
        case 'ready':
          return ready();
        case 'written':
          last = whole(data);
          isWriting = false;
          return showIfShown();
        case 'problem':
          problem = data.problem;
          isWriting = false;
          fail(new Error(problem));
          return showIfShown();
        default:
          data satisfies never;
      }
    });
  });
  return (state) => {
    showAll(state);
    if (isFirst) write();
    isFirst = false;
  };
}

/** Up to the line of the answer, with which a solution ends. */
function whole(all: Written): Written {
  const text = /^[^]*?\n#### .*|^[^]*/.exec(all.text)![0].trimEnd();
  return { ...all, text, calculations: all.calculations.filter(({ at }) => at < text.length) };
}

/** What was typed and what was written, each number that was computed as a button. */
function parts({ prompt, text, calculations }: Written, chosen: number): Html {
  let from = 0;
  const computed = calculations.map(({ at, written, expression }, i) => {
    const before = text.slice(from, at);
    from = at + written.length;
    return html`${before}<button
        type="button"
        data-key="${i}"
        data-computed="${i}"
        aria-pressed="${String(i === chosen)}"
        title="computed: ${expression}"
      >
        ${written}
      </button>`;
  });
  return html`<span class="typed">${prompt}</span>${computed}${text.slice(from)}`;
}
