/**
 * GPT-2 learns to calculate: its published weights stay as they are, and a branch that reads plans from its hidden states is
 * trained. It needs the network once, or `--weights=FOLDER` with config.json and model.safetensors. Arguments are
 * those of `dag train`, e.g. `--maxSteps=200`.
 */
import { loadConfig, formatSummary, trainLanguageModel } from '@dag/train';

const options = process.argv.slice(2).map((word) => word.replace(/^--/, '').split('='));
const config = await loadConfig('finetune-gpt2', Object.fromEntries(options) as Record<string, string>);
const { nLayer, nEmbd, depth } = config.model;
console.log(
  `Training the calculating branch, for up to ${depth} numbers, of a GPT-2 of ${nLayer} layers and width ${nEmbd}.\n`,
);

const { model, summary, step } = await trainLanguageModel(config);
console.log(summary ? formatSummary(summary) : `Stopped at step ${step} and saved.`);

const { text, calculations } = model.generate('What is 12 plus 30? ', {
  maxNewTokens: 16,
  temperature: 0,
  stop: '\n',
});
console.log(`\nWhat is 12 plus 30? ${text}`);
for (const { expression, value } of calculations) console.log(`computed: ${expression} → ${value}`);
