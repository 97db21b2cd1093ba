import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { Parameters } from '@dag/model';
import { parseConfig } from '../src/config/config.js';
import type { LanguageTrainInput } from '../src/config/language.js';
import type { PredictorTrainInput } from '../src/config/predictor.js';
import { trainLanguageModel } from '../src/language/language-task.js';
import { train } from '../src/predictor/predictor-task.js';
import { overlay } from './overlay.js';

/*
 * Losses and weights of short trainings, recorded once: a change of the code that is not meant to change what is trained leaves
 * their bits as they are. On the reference device, whose bits are those of JavaScript on every machine.
 */
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-bits-'));
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterAll(async () => {
  jest.restoreAllMocks();
  await rm(root, { recursive: true });
});

const BASE: PredictorTrainInput = {
  device: 'reference',
  maxSteps: 4,
  batchSize: 3,
  accumulate: 2,
  logEvery: 1,
  model: { depth: 3, blockSize: 48, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0.1, digits: 4 },
  data: { prefetch: 1, style: 'mixed', synonyms: 0.3, negatedGroups: 0.2, wholeNumbers: 0.25 },
  optimizer: { warmupSteps: 2 },
  evaluation: { examples: 2 },
};

type Input = PredictorTrainInput | LanguageTrainInput;
interface Recorded {
  readonly losses: readonly number[];
  readonly weights: string;
}

async function recorded(name: string, input: Input): Promise<Recorded> {
  const outDir = join(root, name);
  const config = parseConfig(overlay<Input>({ ...BASE, outDir }, input));
  const { model } = await (config.kind === 'language' ? trainLanguageModel : train)(config);
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const losses = lines.flatMap((line) => (JSON.parse(line) as { loss?: number }).loss ?? []);
  return { losses, weights: hashOf(model.parameters) };
}

function hashOf(parameters: Parameters): string {
  const hash = createHash('sha256');
  for (const [name, p] of parameters) hash.update(name).update(p.dataSync());
  return hash.digest('hex').slice(0, 16);
}

it.each<[string, Input, Recorded]>([
  [
    'decisions',
    { data: { largest: 0.25, shiftEvery: 1 } },
    {
      losses: [2.1854849755764008, 2.1136236786842346, 2.2158965468406677, 2.420569896697998],
      weights: '18b4863d47d0da36',
    },
  ],
  [
    'decisions with an execution loss',
    { losses: { execution: 0.1 } },
    {
      losses: [2.0259554386138916, 2.2815744280815125, 2.379978120326996, 2.7017253637313843],
      weights: 'd7f80a122f9078c8',
    },
  ],
  [
    'linear',
    { model: { readout: 'linear' } },
    {
      losses: [2.0956283807754517, 2.443572223186493, 2.0842623114585876, 2.3378629088401794],
      weights: '6d9d4169e8f23a1e',
    },
  ],
  [
    'language',
    { kind: 'language', data: { arithmetic: 1 }, model: { branchLayers: 1 } },
    {
      losses: [11.86085319519043, 11.316322326660156, 11.631941318511963, 11.766348838806152],
      weights: 'd49abf00a811d2fd',
    },
  ],
])('%s: the losses and weights of a short training are the recorded ones', async (name, input, expected) => {
  expect(await recorded(name.replaceAll(' ', '-'), input)).toEqual(expected);
});
