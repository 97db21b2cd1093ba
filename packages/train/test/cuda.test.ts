/** Training on the device cuda: on the emulator of its kernels, or with DAG_TEST_CUDA=device on a GPU. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { setDefaultDevice } from '@dag/executor';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareCuda } from '../../executor/test/prepare-cuda.js';
import { parseConfig } from '../src/config.js';
import { train } from '../src/predictor.js';

const cudaIsMissing = prepareCuda();

const folder = mkdtempSync(join(tmpdir(), 'dag-cuda-'));
afterAll(() => {
  setDefaultDevice(undefined);
  rmSync(folder, { recursive: true });
});

const withCuda = cudaIsMissing === null ? describe : describe.skip;
withCuda(`training on cuda${cudaIsMissing === null ? '' : ` (skipped: ${cudaIsMissing})`}`, () => {
  const losses = async (device: 'cpu' | 'cuda' | 'reference', name: string): Promise<number[]> => {
    const outDir = join(folder, name);
    await train(
      parseConfig({
        ...{ device, outDir, maxSteps: 4, batchSize: 6, accumulate: 2, logEvery: 1 },
        model: { depth: 3, blockSize: 24, nLayer: 1, nHead: 2, nEmbd: 16, dropout: 0.1 },
        data: { workers: 1, prefetch: 2 },
        losses: { execution: { enabled: true, weight: 0.1 } },
        evaluation: { every: 4, examples: 10 },
      }),
    );
    const lines = readFileSync(join(outDir, 'metrics.jsonl'), 'utf8').trim().split('\n');
    return lines
      .map((line) => JSON.parse(line) as { loss?: number })
      .flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  };

  it('takes the steps that the reference takes, to rounding, with the same dropout, and the same bits each time', async () => {
    const [first, second] = [await losses('cuda', 'first'), await losses('cuda', 'second')];
    expect(first).toHaveLength(4);
    expect(second).toEqual(first);
    const reference = await losses('reference', 'reference');
    first.forEach((loss, i) => expect(loss / reference[i]!).toBeCloseTo(1, 3));
  });
});
