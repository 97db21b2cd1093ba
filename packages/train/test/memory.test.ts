import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadConfig } from '../src/config/load.js';
import { parseConfig, type TrainConfigInput } from '../src/config/config.js';
import { trainLanguageModel } from '../src/language/language-task.js';
import { requireMemory } from '../src/run/memory.js';
import { train } from '../src/predictor/predictor-task.js';

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'dag-memory-'))));
afterEach(() => rm(root, { recursive: true }));

const SMALL = { batchSize: 2, model: { depth: 2, nLayer: 1, nEmbd: 8 }, evaluation: { examples: 2 } };
const refused = (keys: RegExp): object =>
  expect.objectContaining({
    code: 'memory',
    message: expect.stringMatching(
      new RegExp(
        `^this run needs at least [\\d,]+ GiB of memory, this machine has [\\d,]+ GiB; make ${keys.source}.* smaller$`,
      ),
    ),
  });

describe('a run that needs more memory than there is', () => {
  const language: TrainConfigInput = { kind: 'language', data: { arithmetic: 1 } };
  it.each<[string, TrainConfigInput, RegExp]>([
    ['for its batches', { batchSize: 1e9 }, /batchSize/],
    ['for the plans of its batches', { batchSize: 1e9, losses: { operand: 1 } }, /batchSize, accumulate/],
    ['for those of a step', { accumulate: 1e12 }, /batchSize, accumulate/],
    ['for its weights', { model: { nEmbd: 2 ** 20 } }, /model\.nLayer/],
    [
      'for its positions',
      { model: { blockSize: 2 ** 40 } },
      /model\.nLayer, model\.nEmbd or model\.blockSize/,
    ],
    ['for rows of text', { ...language, batchSize: 1e11 }, /batchSize/],
  ])('is refused at once and writes nothing: %s', async (_, input, keys) => {
    const config = parseConfig({ ...SMALL, ...input, outDir: join(root, 'run') } as TrainConfigInput);
    const start = config.kind === 'language' ? trainLanguageModel : train;
    await expect(start(config)).rejects.toThrow(refused(keys));
    expect(await readdir(root)).toEqual([]);
  });

  it('is one of which what is needed whatever the texts are does not fit', () => {
    const config = parseConfig({ ...SMALL, model: { depth: 2, nLayer: 3, nEmbd: 1024 } });
    // 12·C² weights a layer, with gradients and two moments.
    const weights = 16 * 3 * 12 * 1024 * 1024;
    expect(() => requireMemory(config, weights)).toThrow(refused(/model\.nLayer/));
    requireMemory(config, 2 * weights);
  });

  it('is none of the built-in configurations, in 2 GiB', async () => {
    for (const name of ['predictor', 'predictor-small', 'reading'])
      requireMemory(await loadConfig(name, {}), 2 ** 31);
    requireMemory(await loadConfig('language-small', { 'data.text': 'text' }), 2 ** 31);
  });
});
