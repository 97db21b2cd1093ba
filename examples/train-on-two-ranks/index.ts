/**
 * Trains one model by several processes: `mpirun --bind-to none -np 2 npx jiti index.ts`. Each takes its own texts of every
 * step, and all have the same weights after it. Arguments are options of `dag train`, e.g. `--maxSteps=500`.
 */
import { formatSummary, loadConfig, openCommunicator, train } from '@dag/train';

const communicator = await openCommunicator();
const { rank, size, description } = communicator;

const options = process.argv.slice(2).map((word) => word.replace(/^--/, '').split('=') as [string, string]);
const config = await loadConfig('predictor-small', {
  name: 'two-ranks',
  maxSteps: '300',
  // As many texts a step as one process would take.
  batchSize: String(Math.ceil(64 / size)),
  ...Object.fromEntries(options),
});

const { model, summary, step, elapsed } = await train(config, { communicator });
const seconds = (elapsed / 1000).toFixed(1);
console.log(`rank ${rank} of ${size}: ${step} steps of ${config.batchSize} texts in ${seconds} s`);
console.log(`rank ${rank} of ${size}: 7 * -8 = ${model.predictTexts(['7 * -8']).values[0]}`);

// Rank 0 alone has measured the model.
if (summary) console.log(`\n${description}\n${formatSummary(summary)}`);
await communicator.close();
