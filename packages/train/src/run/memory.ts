import { totalmem } from 'node:os';
import { tokenizer } from '@dag/model';
import type { TrainConfig } from '../config/config.js';
import { TrainError } from '../error.js';
import { readsPlans } from '../predictor/losses.js';

const F32 = 4;
const F64 = 8;
const GIB = 2 ** 30;

/** Memory available to this process, in bytes; a container may have less than its machine. */
const memoryHere = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);

/**
 * Refuses a run whose lower bound on memory exceeds what is available. Without this check the system kills the process
 * without a message, minutes later, when the memory is full.
 * @param available In bytes; default: the memory of this machine or container.
 * @throws {TrainError} `memory` that names the keys to make smaller
 */
export function requireMemory(config: TrainConfig, available = memoryHere()): void {
  // Models of word problems are small.
  if (config.kind === 'problems') return;
  const parts = Object.entries(leastBytes(config)).sort(([, a], [, b]) => b - a);
  const bytes = parts.reduce((sum, [, part]) => sum + part, 0);
  if (bytes <= available) return;
  const gib = (of: number): string => Math.ceil(of / GIB).toLocaleString('en-US');
  throw new TrainError(
    'memory',
    `this run needs at least ${gib(bytes)} GiB of memory, this machine has ${gib(available)} GiB; ` +
      `make ${parts[0]![0]} smaller`,
  );
}

/** A lower bound on the bytes that a run needs, by the configuration keys that determine each part. */
function leastBytes(config: Exclude<TrainConfig, { kind: 'problems' }>): Record<string, number> {
  const { kind, tokenizer: name, model, batchSize, accumulate, device } = config;
  const { depth, nEmbd, nLayer, blockSize } = model;
  const isPredictor = kind === 'predictor';
  const ofBranch = isPredictor ? 0 : config.model.branchLayers + config.model.textLayers;
  const freezeBackbone = !isPredictor && config.freezeBackbone;
  const weights = nEmbd * (tokenizer(name).vocabSize + blockSize) + 12 * (nLayer + ofBranch) * nEmbd * nEmbd;
  // Each weight with its gradient and the two moments of AdamW. With cuda they are in the GPU's memory instead.
  const copies = device === 'cuda' ? 0 : freezeBackbone ? 1 : 4;
  // Batches of expressions are padded to a multiple of 8 tokens, rows of text are full.
  const tokens = batchSize * (isPredictor ? Math.min(8, blockSize) : blockSize);
  const plan = isPredictor ? F64 * (5 * depth + 2 * depth * depth) : 0;
  const planOfToken = readsPlans(config.model.readout, config.losses) ? plan : 0;
  return {
    'model.nLayer, model.nEmbd or model.blockSize': F32 * copies * weights,
    'batchSize, accumulate, data.prefetch or model.depth':
      tokens * (F32 + planOfToken) * (accumulate + config.data.prefetch),
    // Each layer keeps several activations per token for the backward pass; this counts one per copy.
    'batchSize (with more accumulate) or the model': F32 * copies * tokens * nEmbd * nLayer,
    'evaluation.examples or model.depth': config.evaluation.examples * plan,
  };
}
