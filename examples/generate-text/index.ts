/**
 * A small GPT of characters that calculates while it writes, trained in minutes on the pages about these packages and worked
 * arithmetic between their lines; then it goes on with prompts. Arguments are those of `dag train`, e.g. `--maxSteps=500`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatSummary, loadConfig, prepareText, trainLanguageModel } from '@dag/train';

const PROMPTS = ['12.5 * 4 = ', '7 - 9.25 = ', '(3 + 4) * 2.5 = ', '100/8='];

const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const options = process.argv.slice(2).map((word) => word.replace(/^--/, '').split('='));
const given = Object.fromEntries(options) as Record<string, string>;
const { outDir = 'runs/generate-text' } = given;
const text = join(outDir, 'text');
if (!existsSync(text)) {
  const inputs = readdirSync(packages)
    .flatMap((name) => [join(packages, name, 'README.md'), join(packages, name, 'docs')])
    .filter(existsSync);
  const { tokens } = await prepareText({ inputs, out: text, tokenizer: 'char', val: 0.1 });
  console.log(`text: ${tokens.train} characters to train on, ${tokens.val} held out`);
}

const config = await loadConfig('language-small', { ...given, outDir, 'data.text': text });
const { model, summary, step } = await trainLanguageModel(config);
if (!summary) throw new Error(`stopped at step ${step}`);
console.log(`\nHeld-out expressions, written after "=":\n\n${formatSummary(summary)}`);
console.log(`\nmean −ln p of the next character of held-out text: ${summary.textLoss?.toFixed(3)}\n`);

for (const prompt of PROMPTS) {
  const { text: written, calculations } = model.generate(prompt, { temperature: 0, stop: '\n' });
  const how = calculations.map(({ expression, value }) => `${expression} → ${value}`).join(', ');
  console.log(`${prompt}${written}`.padEnd(32) + (how ? `computed: ${how}` : 'guessed'));
}
