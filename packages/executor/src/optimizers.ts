import {
  BELOW_1,
  checkedList,
  checkNumber,
  checkObject,
  checkOptions,
  FINITE_ABOVE_0,
  FINITE_FROM_0,
  named,
} from './arguments.js';
import { tensor, zeros } from './create.js';
import { ExecutorError } from './error.js';
import { add, mul, sub } from './ops/elementwise.js';
import { adamWAll } from './ops/optimizer.js';
import { sameShape, show } from './shape.js';
import { checkTensor, commonBackend, noGrad, scope, Tensor } from './tensor.js';
import { watching } from './watch.js';

/** Options of `SGD`. */
export interface SGDOptions {
  /** Learning rate, from 0. */
  readonly lr: number;
  /** Momentum in [0, 1). Default: 0. */
  readonly momentum?: number;
  /** L2 penalty: weightDecay · parameter is added to the gradient. Default: 0. */
  readonly weightDecay?: number;
}

/** Options of the class `AdamW`; the defaults are PyTorch's. */
export interface AdamWObjectOptions {
  /** Learning rate, from 0. */
  readonly lr: number;
  /** Decay of the first moment, in [0, 1). Default: 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default: 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second moment, above 0. Default: 1e-8. */
  readonly eps?: number;
  /** Decoupled weight decay. Default: 0.01. */
  readonly weightDecay?: number;
}

/**
 * State of an optimiser: the number of steps made, and its tensors by name, in the order of the parameters. Its JSON is a snapshot, which
 * `load` takes and, once it is parsed, `structuredClone` and `postMessage` copy.
 */
export interface OptimizerState<T = Tensor> {
  readonly step: number;
  readonly tensors: Readonly<Record<string, readonly T[]>>;
}

/** A tensor as `JSON.stringify` writes it: nested arrays of its values. */
export interface TensorJson {
  readonly values: unknown;
}

/** Parameters, the tensors of their shapes that an optimiser keeps between steps, and the number of steps. */
abstract class Optimizer {
  /** Learning rate; may be set before each step. */
  lr: number;
  protected readonly parameters: readonly Tensor[];
  protected steps = 0;
  readonly #kept: Readonly<Record<string, readonly Tensor[]>>;
  readonly #name: string;

  constructor(name: string, parameters: readonly Tensor[], lr: number, kept: readonly string[]) {
    this.#name = name;
    this.parameters = checkedList(name, 'parameters', parameters);
    for (const p of this.parameters) {
      checkTensor(name, p);
      if (!p.requiresGrad)
        throw new ExecutorError('autograd', `${name}: a parameter requires a gradient; set requiresGrad`);
    }
    if (this.parameters.length > 0) commonBackend(name, this.parameters);
    if (new Set(this.parameters.map((p) => p.buffer)).size < this.parameters.length)
      throw new ExecutorError(
        'value',
        `${name}: a parameter is given twice, or shares memory with another one`,
      );
    checkNumber(name, 'lr', lr, FINITE_FROM_0);
    this.lr = lr;
    const like = (p: Tensor) => zeros(p.shape, { dtype: p.dtype, device: p.device });
    this.#kept = Object.fromEntries(kept.map((key) => [key, this.parameters.map(like)]));
  }

  protected kept(key: string, i: number): Tensor {
    return this.#kept[key]![i]!;
  }

  /** @throws {ExecutorError} `recording` inside a recorded step. */
  protected refuseInStep(): void {
    if (watching)
      throw new ExecutorError(
        'recording',
        `${this.#name}: step() counts its steps and reads lr in JavaScript, which a recorded step does not run again; call it after the ` +
          'recorded step, or adamWAll inside, with lr and step as inputs',
      );
  }

  /** Updates the parameters that have a gradient, in place. */
  abstract step(): void;

  /** Sets all gradients to zero. */
  zeroGrad(): void {
    for (const p of this.parameters) p.zeroGrad();
  }

  /**
   * The state, for `load`. As in PyTorch's `state_dict`, its tensors are the optimiser's own, which `step` changes, while the number of steps
   * is that of now: save both before the next step, as JSON or tensor by tensor with `data`. `structuredClone` does not copy tensors.
   *
   * @example const snapshot = JSON.parse(JSON.stringify(optimizer.state()));
   */
  state(): OptimizerState {
    return { step: this.steps, tensors: this.#kept };
  }

  /**
   * Copies a state, which may have been JSON, into this optimiser.
   *
   * @throws {ExecutorError} `value` or `shape` where it belongs to another optimiser or other parameters.
   */
  load(state: OptimizerState<Tensor | TensorJson>): void {
    checkObject(this.#name, 'the state', state);
    const { step, tensors } = state;
    checkObject(this.#name, 'the tensors of the state', tensors);
    if (!Number.isSafeInteger(step) || step < 0)
      throw new ExecutorError(
        'value',
        `${this.#name}: the step of a state is a whole number, given ${named(step)}`,
      );
    const other = Object.keys(tensors).find((key) => !(key in this.#kept));
    if (other !== undefined)
      throw new ExecutorError(
        'value',
        `${this.#name}: the state has '${other}', so it belongs to another optimiser or other options`,
      );
    // All of it is read before any of it is assigned.
    const pairs = Object.entries(this.#kept).flatMap(([key, targets]) => {
      const given = checkedList(this.#name, key, tensors[key] ?? []);
      if (given.length !== targets.length)
        throw new ExecutorError(
          'value',
          `${this.#name}: a state of ${given.length} ${key} for ${targets.length} parameters`,
        );
      return targets.map(
        (to, i) => [to, read(`${this.#name}: ${key} of parameter ${i}`, given[i]!, to)] as const,
      );
    });
    noGrad(() => pairs.forEach(([to, from]) => to.assign(from)));
    this.steps = step;
  }
}

/** A tensor of a state; one that was JSON gets the given dtype and device. */
function read(where: string, given: Tensor | TensorJson, like: Tensor): Tensor {
  const { dtype, device, shape } = like;
  checkObject(where, 'a tensor of the state', given);
  const t = Tensor.is(given) ? given : fromJson(where, given.values, like);
  if (!sameShape(t.shape, shape) || t.dtype !== dtype || t.device !== device)
    throw new ExecutorError(
      sameShape(t.shape, shape) ? 'dtype' : 'shape',
      `${where}: a state of ${t.dtype} ${show(t.shape)} on '${t.device}' for ${dtype} ${show(shape)} on '${device}'`,
    );
  return t;
}

function fromJson(where: string, values: unknown, { dtype, device, shape, size }: Tensor): Tensor {
  try {
    // A scalar is a number, and nested arrays that hold none do not say their shape.
    if (typeof values === 'number') return tensor([values], [], { dtype, device });
    return tensor(values as number[], size > 0 ? undefined : shape, { dtype, device });
  } catch (error) {
    if (!(error instanceof ExecutorError)) throw error;
    throw new ExecutorError(error.code, `${where}: ${error.message}; JSON has no NaN and no infinities`);
  }
}

/**
 * Stochastic gradient descent, with momentum as in PyTorch: v ← momentum·v + g, p ← p − lr·v.
 *
 * @throws {ExecutorError} `value` for an invalid option; `autograd` for a parameter that requires no gradient.
 */
export class SGD extends Optimizer {
  readonly #momentum: number;
  readonly #weightDecay: number;

  constructor(parameters: readonly Tensor[], options: SGDOptions) {
    checkOptions('SGD', options, ['lr', 'momentum', 'weightDecay']);
    const { lr, momentum = 0, weightDecay = 0 } = options;
    checkNumber('SGD', 'momentum', momentum, BELOW_1);
    checkNumber('SGD', 'weightDecay', weightDecay, FINITE_FROM_0);
    super('SGD', parameters, lr, momentum > 0 ? ['velocity'] : []);
    this.#momentum = momentum;
    this.#weightDecay = weightDecay;
  }

  step(): void {
    this.refuseInStep();
    checkNumber('SGD', 'lr', this.lr, FINITE_FROM_0);
    this.steps++;
    noGrad(() => {
      this.parameters.forEach((p, i) => {
        const { grad } = p;
        if (!grad) return;
        scope(() => {
          let move = this.#weightDecay > 0 ? add(grad, mul(p, this.#weightDecay)) : grad;
          if (this.#momentum > 0) {
            const velocity = this.kept('velocity', i);
            velocity.assign(add(mul(velocity, this.#momentum), move));
            move = velocity;
          }
          p.assign(sub(p, mul(move, this.lr)));
        });
      });
    });
  }
}

/**
 * AdamW (Loshchilov & Hutter 2019): `adamWAll` with the moments and the step count kept here. In a recorded step call `adamWAll`, whose
 * step may be a tensor.
 *
 * @throws {ExecutorError} `value` for an invalid option; `autograd` for a parameter that requires no gradient.
 */
export class AdamW extends Optimizer {
  readonly #settings: { beta1: number; beta2: number; eps: number; weightDecay: number };

  constructor(parameters: readonly Tensor[], options: AdamWObjectOptions) {
    checkOptions('AdamW', options, ['lr', 'beta1', 'beta2', 'eps', 'weightDecay']);
    const { lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.01 } = options;
    super('AdamW', parameters, lr, ['m', 'v']);
    for (const [name, beta] of Object.entries({ beta1, beta2 })) checkNumber('AdamW', name, beta, BELOW_1);
    checkNumber('AdamW', 'eps', eps, FINITE_ABOVE_0);
    checkNumber('AdamW', 'weightDecay', weightDecay, FINITE_FROM_0);
    this.#settings = { beta1, beta2, eps, weightDecay };
  }

  step(): void {
    this.refuseInStep();
    const step = this.steps + 1;
    const moved = this.parameters.map((parameter, i) => ({
      parameter,
      m: this.kept('m', i),
      v: this.kept('v', i),
    }));
    adamWAll(moved, { ...this.#settings, lr: this.lr, step });
    this.steps = step;
  }
}
