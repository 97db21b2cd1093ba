import type { DagTensors } from '@dag/tensorize';

/** What a text may be: each kind has a model of its own. */
export const KINDS = ['expression', 'problem', 'text'] as const;
export type Kind = (typeof KINDS)[number];

/** What is typed at first. */
const FIRST: Readonly<Record<Kind, string>> = {
  expression: 'Take 7 from twice 12, then divide by 5.',
  problem: 'Mia had 12 pears and 7 plums. She ate 5 pears. How many pears are left?',
  text: 'Mia had 12 pears and ate 5 of them. How many are left?',
};

/** What the page shows, apart from what follows from it. */
export interface State {
  readonly kind: Kind;
  readonly text: string;
  /** The token up to which the text is read, or of what is written the number that is computed; null: the last one. */
  readonly token: number | null;
  /** The token that is pointed at, which is shown in place of `token`. */
  readonly pointed: number | null;
  /** The plan as edited; null: as predicted. */
  readonly edited: DagTensors | null;
  /** The part that is edited: `n0`, `s1`, or `s1:3` for the coefficient of column 3 in step 1. */
  readonly selected: string | null;
  /** How many steps are executed; null: all. */
  readonly executed: number | null;
  readonly gradients: boolean;
}

/** What begins anew with another plan. A plan that is pointed at is shown so, and leaves these as they are. */
export const OF_PLAN = { edited: null, selected: null, executed: null } as const;

type Listener = (state: State) => void;

let state: State = { ...fromAddress(), pointed: null, gradients: false, ...OF_PLAN };
const listeners: Listener[] = [];
/** What was typed last of each kind. */
const typed = { ...FIRST, [state.kind]: state.text };

export const current = (): State => state;
export const subscribe = (listener: Listener): number => listeners.push(listener);

/** Changes the state and tells all listeners. */
export function update(change: Partial<State>): void {
  const isOther = (['kind', 'text', 'token'] as const).some(
    (key) => key in change && change[key] !== state[key],
  );
  const isNewText =
    (change.text !== undefined && change.text !== state.text) ||
    (change.kind !== undefined && change.kind !== state.kind);
  state = {
    ...state,
    ...(isOther ? OF_PLAN : {}),
    ...(isNewText ? { token: null, pointed: null } : {}),
    ...change,
  };
  typed[state.kind] = state.text;
  for (const listener of listeners) listener(state);
  toAddress();
}

/** Shows another kind of text, with what was typed of it. */
export const choose = (kind: Kind): void => update({ kind, text: typed[kind] });

/** What is typed, of which kind, and the token, are in the address, so that a link shows the same. */
function fromAddress(): Pick<State, 'kind' | 'text' | 'token'> {
  const hash = new URLSearchParams(location.hash.slice(1));
  const token = Number(hash.get('token') ?? NaN);
  const kind = KINDS.find((kind) => kind === hash.get('as')) ?? 'expression';
  return {
    kind,
    text: hash.get('text') ?? FIRST[kind],
    token: Number.isInteger(token) && token >= 0 ? token : null,
  };
}

/** Browsers refuse addresses that change too often, and very long ones. */
const LONGEST = 2000;
let pending: ReturnType<typeof setTimeout> | undefined;
function toAddress(): void {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const hash = new URLSearchParams({ text: state.text.slice(0, LONGEST) });
    if (state.kind !== 'expression') hash.set('as', state.kind);
    if (state.token !== null) hash.set('token', String(state.token));
    if (location.hash !== `#${hash}`) history.replaceState(null, '', `#${hash}`);
  }, 200);
}

addEventListener('hashchange', () => {
  // That of a place in the page, as in a link to skip to it, has no text.
  if (/[#&]text=/.test(location.hash)) update(fromAddress());
  else toAddress();
});
