import { element } from '../page.js';
import { choose, KINDS, type Kind, type State } from '../state.js';

const kinds = element('kinds');
const label = element('text-label');

const LABELS: Readonly<Record<Kind, string>> = {
  expression: 'Your text, in symbols or in English',
  problem: 'Your problem, in English, with its numbers in digits',
  text: 'How your text begins',
};

kinds.addEventListener('click', ({ target }) => {
  const chosen = target instanceof HTMLElement ? target.dataset['kind'] : undefined;
  const kind = KINDS.find((kind) => kind === chosen);
  if (kind) choose(kind);
});

/** The kind that is chosen, and the parts of the page that belong to it. */
export function showKind({ kind }: State): void {
  for (const button of kinds.querySelectorAll<HTMLElement>('[data-kind]'))
    button.setAttribute('aria-pressed', String(button.dataset['kind'] === kind));
  label.textContent = LABELS[kind];
  for (const part of document.querySelectorAll<HTMLElement>('[data-of]'))
    part.hidden = part.dataset['of'] !== kind;
}
