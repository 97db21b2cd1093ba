import { html } from '@dag/tensorize/draw';
import { element, show } from '../page.js';
import type { Shown } from '../shown.js';
import type { Kind, State } from '../state.js';
import { promptOf, WRITTEN } from '../writing-messages.js';

const OPTIONS = `{ temperature: ${WRITTEN.temperature}, maxNewTokens: ${WRITTEN.maxNewTokens} }`;
/** What loads the model of a kind. */
const NAMES: Readonly<Record<Kind, string>> = { expression: '', problem: `'problems'`, text: `'writing'` };

const panel = element('code');
const button = element('copy-code');
let code = '';

button.addEventListener('click', () => {
  panel.hidden = false;
  void copy();
});
panel.addEventListener('click', ({ target }) => {
  if (!(target instanceof HTMLButtonElement)) return;
  panel.hidden = true;
  button.focus();
});

async function copy(): Promise<void> {
  const said = panel.querySelector('.copied');
  try {
    await navigator.clipboard.writeText(code);
    if (said) said.textContent = 'Copied.';
  } catch {
    // Pages that are not served over https have no clipboard.
    if (said) said.textContent = 'Select it to copy.';
  }
}

export function showCode(state: State, shown: Pick<Shown, 'plan'>): void {
  code = codeOf(state, shown);
  show(
    panel,
    html`<div class="row">
        <p class="muted">The same in Node. <span class="copied" role="status"></span></p>
        <button type="button" class="quiet" data-key="hide">Hide</button>
      </div>
      <pre tabindex="0">${code}</pre>`,
  );
}

function codeOf({ kind, text, edited }: State, { plan }: Pick<Shown, 'plan'>): string {
  const lines = ['// npm install @dag/train', `import { loadPretrained } from '@dag/train';`];
  if (edited) lines.push(`import { execute } from '@dag/executor';`);
  lines.push('', `const model = await loadPretrained(${NAMES[kind]});`);
  const said = JSON.stringify(kind === 'text' ? promptOf(text) : text);
  if (kind === 'text') {
    lines.push(`const { text, calculations } = model.generate(${said}, ${OPTIONS});`);
    if (!edited || !plan) return [...lines, 'console.log(text);', ''].join('\n');
    lines.push(`const { tensors } = calculations[${plan.token}];`);
  } else if (!plan || plan.isLast) lines.push(`const { value, tensors } = model.predict(${said});`);
  else lines.push(`const { value, tensors } = model.predictPrefixes(${said}).at(${plan.token});`);
  if (!edited || !plan) return [...lines, 'console.log(value);', ''].join('\n');
  const before = plan.prediction.tensors;
  for (const field of ['V_mag', 'V_sign', 'O', 'G'] as const)
    edited[field].forEach((x, i) => {
      if (!Object.is(x, before[field][i])) lines.push(`tensors.${field}[${i}] = ${x};`);
    });
  return [...lines, 'console.log(execute(tensors)[0]);', ''].join('\n');
}
