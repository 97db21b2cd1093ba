import { html, shortNumber, type Html } from '@dag/tensorize/draw';
import { download, element, setEnabled, show } from '../page.js';
import { current, subscribe } from '../state.js';
import type { FromTraining, ToTraining } from '../training-messages.js';
import { chart, type Point } from './chart.js';

/** A training and what is known of it. */
interface Run {
  readonly worker: Worker;
  readonly losses: Point[];
  readonly heldOut: Point[];
  answer: Extract<FromTraining, { kind: 'answer' | 'no-answer' }> | null;
  step: number;
  of: number;
  texts: number;
  state: 'starts' | 'runs' | 'stops' | 'stopped' | 'done';
  /** Milliseconds that it has run, without the time since `since`. */
  before: number;
  since: number;
  /** Milliseconds until nine of ten held-out values were right; null before. */
  untilGoal: number | null;
  problem: string;
}

const GOAL = 0.9;
const LABELS = { starts: 'Stop', runs: 'Stop', stops: 'Stopping …', stopped: 'Go on', done: 'Done' } as const;

let run: Run | null = null;

export function setUpTraining(): void {
  show(
    element('training'),
    html`<div class="row">
        <button type="button" class="primary" id="train">Start training</button>
        <button type="button" id="anew" hidden>Start anew</button>
        <button type="button" id="weights" hidden>Download weights</button>
      </div>
      <p id="trained" role="status" class="muted"></p>
      <div id="training-shown"></div>`,
  );
  element('train').addEventListener('click', toggle);
  element('anew').addEventListener('click', () => {
    run?.worker.terminate();
    run = null;
    toggle();
  });
  element('weights').addEventListener('click', () => send({ kind: 'weights' }));
  let said = '';
  subscribe(({ text }) => {
    if (said === text) return;
    said = text;
    send({ kind: 'text', text });
  });
}

const send = (message: ToTraining): void => run?.worker.postMessage(message);

function toggle(): void {
  if (run?.state === 'runs' || run?.state === 'starts') {
    run.state = 'stops';
    send({ kind: 'stop' });
  } else if (run === null || run.state === 'stopped') {
    run ??= newRun();
    run.state = 'starts';
    run.problem = '';
    run.since = performance.now();
    send({ kind: 'text', text: current().text });
    send({ kind: 'go' });
  }
  showRun();
}

function newRun(): Run {
  const worker = new Worker(new URL('../training-worker.ts', import.meta.url), { type: 'module' });
  const made: Run = {
    ...{ worker, losses: [], heldOut: [], answer: null, step: 0, of: 0, texts: 0, state: 'starts' },
    ...{ before: 0, since: 0, untilGoal: null, problem: '' },
  };
  worker.addEventListener('message', ({ data }: MessageEvent<FromTraining>) => {
    if (run !== made) return;
    receive(made, data);
    showRun();
  });
  worker.addEventListener('error', ({ message }) => {
    if (run !== made) return;
    made.problem = message || 'the worker cannot be loaded';
    made.state = 'stopped';
    showRun();
    // It answers nothing any more: the button begins with another one.
    worker.terminate();
    run = null;
    element('train').textContent = 'Start training';
    element('anew').hidden = element('weights').hidden = true;
  });
  return made;
}

const elapsed = ({ before, since, state }: Run): number =>
  before + (state === 'stopped' || state === 'done' ? 0 : performance.now() - since);

function receive(run: Run, message: FromTraining): void {
  switch (message.kind) {
    case 'step':
      if (run.state === 'starts') run.state = 'runs';
      run.step = message.step;
      run.of = message.of;
      run.losses.push([message.step, message.loss]);
      break;
    case 'held-out':
      run.texts = message.of;
      run.heldOut.push([message.step, message.right]);
      if (message.right >= GOAL) run.untilGoal ??= elapsed(run);
      break;
    case 'answer':
    case 'no-answer':
      run.answer = message;
      break;
    case 'weights':
      download('predictor-small.safetensors', 'application/octet-stream', message.bytes);
      break;
    case 'stopped':
      run.before = elapsed(run);
      run.state = message.isDone ? 'done' : 'stopped';
      break;
    case 'problem':
      run.problem = message.problem;
      break;
    default:
      message satisfies never;
  }
}

function showRun(): void {
  if (!run) return;
  const { state, step, of, losses, heldOut, texts, untilGoal, problem, answer } = run;
  const train = element('train');
  train.textContent = LABELS[state];
  setEnabled(train, state !== 'done' && state !== 'stops');
  element('anew').hidden = element('weights').hidden = step === 0;
  const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
  const said = element('trained');
  // Nobody wants to hear of every step.
  said.setAttribute('aria-live', state === 'runs' ? 'off' : 'polite');
  said.textContent =
    problem !== ''
      ? `It cannot go on: ${problem}.`
      : step === 0
        ? state === 'stopped'
          ? 'Stopped before the first step.'
          : 'Starting …'
        : `Step ${step} of ${of}, ${seconds(elapsed(run))}.` +
          (untilGoal === null ? '' : ` Nine of ten held-out values were right after ${seconds(untilGoal)}.`);
  const until = Math.max(of, 1);
  const high = Math.max(...losses.map(([, loss]) => loss), 1);
  const low = Math.min(...losses.map(([, loss]) => loss), 0.1);
  const short = (y: number): string => y.toPrecision(2);
  show(
    element('training-shown'),
    html`<div class="charts">
        ${chart({ title: 'Loss', points: smoothed(losses), until, low, high, isLog: true, text: short })}
        ${chart({
          ...{ title: `Right of ${texts || 200} held-out values`, points: heldOut, until, low: 0, high: 1 },
          ...{ goal: [GOAL, '90 %'], text: (y) => `${Math.round(100 * y)} %` },
        })}
      </div>
      ${answer === null ? null : html`<p class="half">${answered(answer)}</p>`}`,
  );
}

function answered(answer: NonNullable<Run['answer']>): Html {
  if (answer.kind === 'no-answer')
    return html`It does not read your text: ${answer.problem}.
      <span class="muted">It learns texts such as 12 + 3.5 * 2.</span>`;
  const { value, expression, doubt } = answer;
  const as = expression === '' ? null : html`, <code>${expression}</code>`;
  return html`It reads your text as <b>${shortNumber(value)}</b>${as}.
    <span class="muted">${doubt === null ? 'That is right.' : `${doubt}.`}</span>`;
}

/** Each point is the mean of the last few. */
const smoothed = (points: readonly Point[]): Point[] =>
  points.map(([x], i) => {
    const last = points.slice(Math.max(0, i - 4), i + 1);
    return [x, last.reduce((sum, [, y]) => sum + y, 0) / last.length];
  });
