import type { PrefixPredictions, TokenDecision } from '@dag/model';
import { html, type Html } from '@dag/tensorize/draw';
import { element, moveByArrows, percent, show } from '../page.js';
import { nodeName } from '../parts.js';
import type { Shown } from '../shown.js';
import { current, update, type State } from '../state.js';

/** What decisions of the model are called on its tokens; others go by their own names. */
const SIGNS: Readonly<Record<string, string>> = {
  ...{ none: '', add: '+', sub: '−', mul: '×', div: '÷', neg: '−x', subFrom: '⇄ −', divInto: '⇄ ÷' },
  ...{ percent: '%', percentOf: '%', pow: 'xⁿ', square: 'x²', squared: 'x²', cube: 'x³', cubed: 'x³' },
  ...{
    sqrt: '√',
    rooted: '√',
    cbrt: '∛',
    reciprocal: '1/x',
    half: '½',
    halved: '½',
    twice: '2·',
    doubled: '2·',
  },
  ...{ thrice: '3·', tripled: '3·', bar: '|', percentOfLeft: '%', onto: '+ %', off: '− %' },
};

const tokens = element('tokens');
const slider = element<HTMLInputElement>('token');
const name = element('token-name');
const refused = element('refused');

slider.addEventListener('input', () => update({ token: Number(slider.value), pointed: null }));
moveByArrows(tokens);
const tokenOf = (target: EventTarget | null): number | null => {
  const key = target instanceof Element ? target.closest('[data-key]')?.getAttribute('data-key') : null;
  return key ? Number(key) : null;
};
const point = (pointed: number | null): void => {
  if (pointed !== current().pointed) update({ pointed });
};
// A finger does not hover: its tap is a click.
tokens.addEventListener('pointerover', ({ target, pointerType }) => {
  if (pointerType === 'mouse') point(tokenOf(target));
});
tokens.addEventListener('pointerleave', () => point(null));
tokens.addEventListener('focusin', ({ target }) => {
  if (target instanceof Element && target.matches(':focus-visible')) point(tokenOf(target));
});
tokens.addEventListener('focusout', () => point(null));
tokens.addEventListener('click', ({ target }) => {
  const token = tokenOf(target);
  if (token !== null) update({ token, pointed: null });
});

export function showTokens({ pointed }: State, { reading, plan }: Shown): void {
  const { prefixes } = reading;
  const last = (prefixes?.tokens.length ?? 1) - 1;
  const at = plan?.token ?? 0;
  slider.max = String(last);
  slider.value = String(at);
  slider.disabled = last === 0;
  name.textContent = prefixes ? `${at + 1} of ${last + 1}` : '–';
  slider.setAttribute('aria-valuetext', prefixes ? `${at + 1}, ${prefixes.tokens[at]}` : 'none');
  show(
    tokens,
    reading.prefixes
      ? html`${reading.prefixes.tokens.map((_, t) => chip(reading.prefixes, t, reading.wereTrained[t]!))}`
      : '',
  );
  // What depends on the token that is shown is set apart from the markup: the chip with the focus stays where it is.
  const parts = [...tokens.querySelectorAll<HTMLElement>('[data-key]')];
  parts.forEach((part, t) => {
    const node = plan && t <= plan.token ? (plan.prediction.nodes?.[t] ?? -1) : -1;
    part.dataset['refs'] = plan && node >= 0 ? nodeName(node, plan.tensors.depth) : '';
    part.tabIndex = t === at ? 0 : -1;
    part.classList.toggle('later', t > at);
    part.classList.toggle('shown', t === at);
    if (t === at) part.setAttribute('aria-current', 'true');
    else part.removeAttribute('aria-current');
  });
  const chosen = parts[at];
  if (chosen && pointed === null) {
    // A long list scrolls to the token, and the page does not.
    const { offsetTop: top, offsetHeight } = chosen;
    const bottom = top + offsetHeight - tokens.clientHeight;
    tokens.scrollTop = Math.min(Math.max(tokens.scrollTop, bottom), top);
  }
  const why = plan?.prediction.refusal ?? null;
  refused.hidden = why === null;
  refused.textContent = why === null ? '' : `Up to here the model would refuse: ${why}.`;
}

function chip({ tokens, decisions, confidences }: PrefixPredictions, t: number, wasTrained: boolean): Html {
  const decision = decisions?.[t];
  const doubt = decision ? 1 - decision.certainty : 0;
  // From a ten-thousandth to a half.
  const shade = Math.round(100 * Math.min(1, Math.max(0, (Math.log10(doubt + 1e-9) + 4) / 3.7)));
  const piece = tokens[t]!.trim() || '␣';
  const said = !wasTrained
    ? `${piece}: never seen in training`
    : decision
      ? `${piece}: ${meaning(decision)}, ${percent(decision.certainty)} sure`
      : piece;
  return html`<li>
    <button
      type="button"
      class="chip"
      style="--doubt:${wasTrained ? shade : 100}%"
      data-key="${t}"
      aria-label="${said}"
      title="${said}"
    >
      <span class="piece ${wasTrained ? '' : 'unseen'}">${piece}</span>
      <span class="writes">${decision ? signs(decision) : ''}</span>
      <span class="meter"><i style="width:${Math.round(100 * (confidences?.[t] ?? 0))}%"></i></span>
    </button>
  </li>`;
}

/** What a token writes and how it changes nesting, as signs. */
const signs = ({ writes, nesting }: TokenDecision): string =>
  [
    SIGNS[writes] ?? writes,
    nesting < LEAST_NESTING ? '⟩' : nesting > 0 ? '('.repeat(nesting) : ')'.repeat(-nesting),
  ]
    .join(' ')
    .trim() || '·';

/** Below it a change of nesting ends a part of a sequence, as "then" does. */
const LEAST_NESTING = -100;

function meaning({ writes, nesting }: TokenDecision): string {
  const parts = [
    writes === 'none' ? '' : `writes ${writes}`,
    nesting === 0
      ? ''
      : nesting < LEAST_NESTING
        ? 'closes all before it'
        : nesting > 0
          ? `opens ${nesting}`
          : `closes ${-nesting}`,
  ];
  return parts.filter(Boolean).join(', ') || 'writes no operator';
}
