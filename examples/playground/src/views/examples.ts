import { html } from '@dag/tensorize/draw';
import { element, show } from '../page.js';
import { update } from '../state.js';

const EXAMPLES = [
  'Take 7 from twice 12, then divide by 5.',
  '2.5 * 3 + 1',
  '(3 - 8)^2 / 4 - -2',
  'half of 15% of 80',
  'the average of 2, 4 and 9',
  'sqrt(16) + |3 - 10|',
  'What is 2 times wombat?',
  'Tom has 3 apples and buys 4 more. How many has he?',
];

export function showExamples(): void {
  const examples = element('examples');
  show(
    examples,
    html`${EXAMPLES.map((text) => html`<button type="button" class="example" data-text="${text}">${text}</button>`)}`,
  );
  examples.addEventListener('click', ({ target }) => {
    const text = target instanceof HTMLElement ? target.dataset['text'] : undefined;
    if (text !== undefined) update({ text, token: null });
  });
}
