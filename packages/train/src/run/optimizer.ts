import { adamWAll, add, recordStep, sqrt, square, zeros, type Tensor } from '@dag/executor';
import type { Parameters, SafeTensor } from '@dag/model';
import { requireArguments } from '../arguments.js';
import type { TrainConfig } from '../config/config.js';
import { TrainError } from '../error.js';

interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
}

/** AdamW over all parameters of a model. Weight decay applies to matrices only, not to biases and norm weights. */
export class AdamW {
  /** Steps taken. */
  step = 0;
  private readonly config: TrainConfig['optimizer'];
  private readonly parts: readonly (readonly (readonly [name: string, parameter: Tensor])[])[];
  private readonly moments = new Map<string, Moments>();
  private readonly recorded = recordStep((inputs: Record<'lr' | 'step', Tensor>) => this.clipAndMove(inputs));

  /** @param parts Groups of parameters whose gradient norms are clipped separately; those in none are another group, one in several counts in the first. Default: one group of all. */
  constructor(
    parameters: Parameters,
    config: TrainConfig['optimizer'],
    parts: readonly Parameters[] = [parameters],
  ) {
    requireArguments('AdamW', {
      parameters: [parameters, 'a Map'],
      config: [config, { beta1: 'a number', beta2: 'a number', eps: 'a number', clip: 'a number' }],
      parts: [parts, ['a Map']],
    });
    this.config = config;
    const taken = new Set<string>();
    this.parts = [...parts, parameters]
      .map((part) =>
        [...part].filter(([name]) => parameters.has(name) && !taken.has(name) && taken.add(name)),
      )
      .filter((part) => part.length > 0);
    for (const [name, { shape, device }] of parameters)
      this.moments.set(name, { m: zeros(shape, { device }), v: zeros(shape, { device }) });
  }

  /**
   * Clips the gradients of each group to the norm `clip`, then updates every parameter. Returns the norm of all gradients before
   * clipping: one f64 element, valid until the next call.
   */
  update(lr: number): Tensor {
    return this.recorded({ lr, step: ++this.step });
  }

  private clipAndMove(now: Readonly<Record<'lr' | 'step', Tensor>>): Tensor {
    const { beta1, beta2, eps, weightDecay, clip: maxNorm } = this.config;
    const moving = this.parts.filter((part) => part.some(([, parameter]) => parameter.grad));
    // Without any gradient there is an error.
    const norms = (moving.length > 0 ? moving : this.parts).map((part) => {
      const list = part.map(([name, parameter]) => ({
        ...{ parameter, ...this.moments.get(name)! },
        weightDecay: parameter.shape.length >= 2 ? weightDecay : 0,
      }));
      return adamWAll(list, { ...now, beta1, beta2, eps, weightDecay, maxNorm });
    });
    return norms.reduce((a, b) => sqrt(add(square(a), square(b))));
  }

  /** Frees the recorded step of `update`. */
  release(): void {
    this.recorded.release();
  }

  /** The moments by parameter name. */
  state(): Map<string, SafeTensor> {
    return new Map(
      [...this.liveState()].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data }]),
    );
  }

  /** Like `state`, but each `data` is read on access, so that writing a large state needs no second copy of all of it. */
  liveState(): Map<string, SafeTensor> {
    const tensors = new Map<string, SafeTensor>();
    for (const [name, moments] of this.moments)
      for (const which of ['m', 'v'] as const)
        tensors.set(`${which}.${name}`, {
          dtype: 'F32',
          shape: moments[which].shape,
          get data() {
            return Float32Array.from(moments[which].dataSync());
          },
        });
    return tensors;
  }

  /** Restores what `state` returned after `step` steps. @throws {TrainError} `bad-checkpoint` if a moment is missing. */
  restore(tensors: ReadonlyMap<string, SafeTensor>, step: number): void {
    for (const [name, moments] of this.moments)
      for (const which of ['m', 'v'] as const) {
        const given = tensors.get(`${which}.${name}`);
        if (!given || !(given.data instanceof Float32Array) || given.data.length !== moments[which].size)
          throw new TrainError(
            'bad-checkpoint',
            `the optimiser state '${which}.${name}' is missing or has the wrong size`,
          );
        moments[which].set(given.data);
      }
    this.step = step;
  }
}

/** Learning rate of `step` (counted from 1): linear warm-up to `lr`, then a cosine to `minLrRatio·lr` at the last step. */
export function learningRate(step: number, maxSteps: number, config: TrainConfig['optimizer']): number {
  requireArguments('learningRate', {
    step: [step, 'a number'],
    maxSteps: [maxSteps, 'a number'],
    config: [config, { lr: 'a number', minLrRatio: 'a number', warmupSteps: 'a number' }],
  });
  const { lr, minLrRatio, warmupSteps } = config;
  if (step <= warmupSteps) return (lr * step) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, maxSteps - warmupSteps));
  return lr * (minLrRatio + (1 - minLrRatio) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
