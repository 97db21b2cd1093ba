/**
 * Shows the shipped model at work; then trains a small one on streamed expressions, measures it on held-out ones, and
 * shows plans that it writes beside the true ones. Arguments are those of `dag train`, e.g.
 * `npm start -- predictor-small --maxSteps=500`.
 */
import { describe, tensorize } from '@dag/tensorize';
import {
  answer,
  findCheckpoint,
  formatSummary,
  heldOutQuestions,
  loadConfig,
  loadPretrained,
  streamConfig,
  train,
} from '@dag/train';

const SHOWN = [
  'What is 98765 times 43210?',
  'Take 7 from twice 12, then divide by 5.',
  'How much is half of 15% of 80?',
];
const REFUSED = 'Tom has 3 apples and buys 4 more. How many apples does he have?';

const words = process.argv.slice(2);
const options = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2).split('='));
const given = await loadConfig(
  words.find((word) => !word.startsWith('--')),
  Object.fromEntries(options),
);
if (given.kind !== 'predictor') throw new Error('this example trains plan predictors; `dag train` any model');
const earlier = await findCheckpoint(given.outDir, 'latest', console.error).catch(() => null);
if (earlier && !given.resume)
  console.log(`Going on with the run in ${given.outDir}; remove that folder to start afresh.`);
const config = { ...given, resume: given.resume || earlier !== null };

console.log(
  'The shipped model reads arithmetic as people write it, and writes a program for it, which is executed.\n' +
    'n0, n1, … are the numbers of the text; s0, s1, … the results of the steps of the program.\n',
);
const shipped = await loadPretrained();
for (const text of SHOWN) {
  const { expression, value, tensors } = shipped.predict(text);
  console.log(`${text}\n  ${expression} = ${value}`);
  console.log(`${describe(tensors).replaceAll(/^/gm, '    ')}\n`);
}
console.log(
  `What it cannot read it refuses:\n\n${REFUSED}\n  ${shipped.predictTexts([REFUSED]).refusals[0]}\n`,
);

const { depth, nLayer, nEmbd } = config.model;
const { maxDigits, maxDecimals } = config.data;
console.log(
  `Now training a GPT of ${nLayer} layers and width ${nEmbd} to read expressions of up to ${depth} numbers\n` +
    `with up to ${maxDigits} + ${maxDecimals} digits, and to write the programs that compute them.\n` +
    'Ctrl-C stops and saves.\n',
);

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
const { model, summary, step, elapsed } = await train(config, { signal: stop.signal });
if (!summary) {
  console.log(`Stopped at step ${step} and saved. The same command goes on from there.`);
  process.exit();
}

console.log(
  `\nAfter ${step} steps (${Math.round(elapsed / 1000)} s), on ${summary.count} new expressions, the percentage that is right:\n`,
);
console.log(formatSummary(summary));
console.log(`
A row is a group of these expressions: by number of operations, by digits of the largest number, by
depth of parentheses. The columns say of how many this is right:
  value          the value, within a millionth of it; (95 %) is the confidence interval
  exact          the value, to the last bit
  plan           the whole program, of which the other columns are parts:
  V_mag, V_sign  the numbers, their signs
  O              which operands each step reads, with which coefficients
  G              whether each step is a sum or a product`);

console.log('\nPredicted programs beside the true ones:');
const questions = heldOutQuestions(streamConfig(config), 100, config.evaluation.seed + 1);
const longest = questions.toSorted((a, b) => b.text.length - a.text.length).slice(0, 3);
for await (const { text, value, expected, ok } of answer(model, longest)) {
  console.log(`\n${text}`);
  const plan = model.predictPlans([text]);
  console.log(sideBySide(describe(plan), describe(tensorize(text, { depth: plan.depth }))));
  console.log(`  executed: ${value}   true: ${expected}   ${ok ? 'right' : 'WRONG'}`);
}
console.log(`\nTry it: npx @dag/train predict --checkpoint ${config.outDir} "${longest[0]!.text}"`);

/** Two plans in 80 columns: two numbers a line, as long as they are. */
function sideBySide(left: string, right: string): string {
  const lines = (plan: string): string[] => plan.replaceAll(/(.{20,35}?) {3}/g, '$1\n').split('\n');
  const [a, b] = [lines(left), lines(right)];
  const rows = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i] ?? '', b[i] ?? '']);
  return [['predicted', 'true'], ...rows].map(([l, r]) => `  ${l!.padEnd(36)}|  ${r}`).join('\n');
}
