import { html, shortNumber, type Html } from '@dag/tensorize/draw';
import { element, percent, show } from '../page.js';
import type { Reading, Rules } from '../reading.js';

const answer = element('answer');

/** The value of the whole text or why it is refused, and what rules make of the same text. */
export function showAnswer(reading: Reading): void {
  if (!reading.prefixes) {
    const why =
      reading.problem === '' ? 'Type some arithmetic, or choose an example.' : `Refused: ${reading.problem}.`;
    show(answer, html`<p class="reason">${why}</p>`);
    return;
  }
  const { at, tokens } = reading.prefixes;
  const { value, refusal, confidence } = at(tokens.length - 1);
  const sure = confidence === null ? null : `${percent(confidence)} sure`;
  show(
    answer,
    html`${
      refusal === null
        ? html`<p class="value"><span class="equals">=</span> <output>${shortNumber(value)}</output></p>
            <p class="muted">
              ${sure}
              <span class="meter" aria-hidden="true"><i style="width:${100 * (confidence ?? 0)}%"></i></span>
            </p>`
        : html`<p class="reason"><b>Refused:</b> ${refusal}.</p>
            <p class="muted">It would have read <b>${shortNumber(value)}</b>, ${sure}.</p>`
    }
    ${byRules(reading.rules, refusal !== null)}`,
  );
}

const shortened = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)} …` : text);

function byRules(rules: Rules, isRefused: boolean): Html {
  const verdict =
    'problem' in rules
      ? html`cannot read it: ${rules.problem}`
      : html`<b>${shortNumber(rules.value)}</b>, as <code>${shortened(rules.expression)}</code>.
          ${
            rules.agree
              ? isRefused
                ? 'The plan is right, but the model was not sure enough.'
                : 'They agree.'
              : 'Wrong plan: arithmetic is exact here, so the model has read something else.'
          }`;
  return html`<p class="rules">
    <span title="fromText of @dag/expr, a parser without a model">By rules</span> ${verdict}
  </p>`;
}
