import { html } from '@dag/tensorize/draw';
import { element, show } from '../page.js';
import { update, type Kind, type State } from '../state.js';

const EXAMPLES: Readonly<Record<Kind, readonly string[]>> = {
  expression: [
    'Take 7 from twice 12, then divide by 5.',
    '2.5 * 3 + 1',
    '(3 - 8)^2 / 4 - -2',
    'half of 15% of 80',
    'the average of 2, 4 and 9',
    'sqrt(16) + |3 - 10|',
    'What is 2 times wombat?',
    'Tom has 3 apples and buys 4 more. How many has he?',
  ],
  problem: [
    'Mia had 12 pears and 7 plums. She ate 5 pears. How many pears are left?',
    'Tom has 3 apples and buys 4 more. How many has he?',
    'A box holds 6 eggs. How many eggs are in 9 boxes?',
    'Ana read 24 pages on Monday and 9 on Tuesday. How many more pages did she read on Monday?',
    'How many sides has a square?',
  ],
  text: [
    'Mia had 12 pears and ate 5 of them. How many are left?',
    'A pen costs $3 and a book costs $12. How much do 4 pens and 2 books cost?',
    'Half of the 48 pupils walk to school, so 48 / 2 = ',
  ],
};

const examples = element('examples');
examples.addEventListener('click', ({ target }) => {
  const text = target instanceof HTMLElement ? target.dataset['text'] : undefined;
  if (text !== undefined) update({ text, token: null });
});

export function showExamples({ kind }: State): void {
  show(
    examples,
    html`${EXAMPLES[kind].map((text) => html`<button type="button" class="example" data-text="${text}">${text}</button>`)}`,
  );
}
