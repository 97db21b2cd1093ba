import {
  BELOW_1,
  checkedList,
  checkNumber,
  checkObject,
  checkOptions,
  FINITE_ABOVE_0,
  FINITE_FROM_0,
  FROM_0,
  named,
  WHOLE_FROM_1,
  type NumberRange,
} from '../arguments.js';
import type { AdamWStorages, Backend } from '../backend.js';
import { ExecutorError } from '../error.js';
import type { Buffer } from '../memory.js';
import { sameShape, show } from '../shape.js';
import { checkTensor, commonBackend, commonDType, empty, Tensor } from '../tensor.js';
import { checkAlways } from '../watch.js';
import { scalarOf } from './scalar.js';

/**
 * Scales all gradients together to an L2 norm of at most `maxNorm`, in place → their norm before that, one f64 element. With Infinity it
 * only measures.
 *
 * @throws {ExecutorError} `autograd` where no parameter has a gradient; `value` for a negative `maxNorm`; `device`.
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number): Tensor {
  checkNumber('clipGradNorm', 'maxNorm', maxNorm, FROM_0);
  const gradients = gradientsOf('clipGradNorm', parameters);
  const { backend, total, norm } = measured('clipGradNorm', gradients);
  if (maxNorm < Infinity)
    backend.scaleToNorm(
      gradients.map((g) => g.storageToChange('clipGradNorm')),
      total.storage,
      maxNorm,
    );
  return norm;
}

/** The L2 norm of gradients together, with the sums it is the root of. */
function measured(
  op: string,
  gradients: readonly Tensor[],
): { backend: Backend; total: Tensor; norm: Tensor } {
  if (gradients.length === 0)
    throw new ExecutorError('autograd', `${op}: no parameter has a gradient; call backward first`);
  const backend = commonBackend(op, gradients);
  const total = empty([2], 'f64', backend);
  const norm = empty([], 'f64', backend);
  for (const sum of [total, norm]) backend.fill(sum.storage, 0);
  backend.norm(
    gradients.map((g) => g.storage),
    total.storage,
    norm.storage,
  );
  return { backend, total, norm };
}

/** The gradients, each once even if a parameter is given twice. */
function gradientsOf(op: string, parameters: Iterable<Tensor>): Tensor[] {
  if (!isIterable(parameters))
    throw new ExecutorError(
      'value',
      `${op}: takes parameters in an array or another iterable, given ${named(parameters)}`,
    );
  const gradients = new Map<Buffer, Tensor>();
  for (const p of parameters) {
    checkTensor(op, p);
    if (p.grad) gradients.set(p.grad.buffer, p.grad);
  }
  return [...gradients.values()];
}

function isIterable(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && Symbol.iterator in value && !ArrayBuffer.isView(value)
  );
}

/** Options of `adamW` and `adamWAll`: rates, decays beta1 and beta2 in [0, 1), eps above 0 and the decoupled weightDecay. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Learning rate, from 0. A tensor of one f64 may change between calls of a recorded step. */
  readonly lr: number | Tensor;
  /** Number of this step, counted from 1; or a tensor of one f64 as `lr`. */
  readonly step: number | Tensor;
  /** Largest norm of all gradients together, which are read as `clipGradNorm` would leave them, without a pass of its own. Default: Infinity. */
  readonly maxNorm?: number;
}

/**
 * One step of AdamW (Loshchilov & Hutter 2019, algorithm 2): updates `parameter` and its moments `m` and `v`, of the same shape and
 * dtype, in place. A parameter without a gradient stays as it is.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the tensors do not go together; `value` for an option outside its range, or
 *   where tensors share memory; `autograd` where there is a `maxNorm` and no gradient.
 */
export function adamW(parameter: Tensor, m: Tensor, v: Tensor, options: AdamWOptions): void {
  adamWAll([{ parameter, m, v }], options);
}

/** A parameter and its moments, of one shape and dtype. */
export interface ParameterWithMoments {
  readonly parameter: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  /** In place of the option of that name. */
  readonly weightDecay?: number;
}

/**
 * `adamW` on many parameters of one device, on `cuda` in one pass for each weight decay → with the option `maxNorm` the norm of their
 * gradients before clipping, one f64 element.
 *
 * @throws {ExecutorError} as `adamW`.
 */
export function adamWAll(
  list: readonly ParameterWithMoments[],
  options: AdamWOptions & { readonly maxNorm: number },
): Tensor;
export function adamWAll(list: readonly ParameterWithMoments[], options: AdamWOptions): Tensor | null;
export function adamWAll(list: readonly ParameterWithMoments[], options: AdamWOptions): Tensor | null {
  const { lr, step, beta1, beta2, eps, maxNorm, ...common } = checkedSettings(options);
  const parameters = checkedList('adamW', 'parameters', list).map((one) => {
    checkObject('adamW', 'a parameter with its moments', one);
    const { parameter, m, v, weightDecay = common.weightDecay } = one;
    checkNumber('adamW', 'weightDecay', weightDecay, FINITE_FROM_0);
    return { parameter, m, v, weightDecay };
  });
  for (const { parameter, m, v } of parameters) {
    commonDType('adamW', [parameter, m, v]);
    if (!sameShape(parameter.shape, m.shape) || !sameShape(parameter.shape, v.shape))
      throw new ExecutorError(
        'shape',
        `adamW: parameter ${show(parameter.shape)}, moments ${show(m.shape)} and ${show(v.shape)}`,
      );
  }
  const tensors = parameters.flatMap(({ parameter, m, v }) => [parameter, m, v]);
  if (tensors.length === 0 && maxNorm === undefined) return null;
  const all =
    maxNorm === undefined
      ? null
      : measured(
          'adamW',
          gradientsOf(
            'adamW',
            parameters.map((one) => one.parameter),
          ),
        );
  const backend = commonBackend('adamW', tensors);
  checkApart(parameters);
  const spec = {
    ...{ beta1, beta2, eps },
    lr: scalarOf('adamW', 'lr', lr, backend),
    step: scalarOf('adamW', 'step', step, backend),
    clip: all && { total: all.total.storage, maxNorm: maxNorm! },
  };
  checkScalar('lr', lr, FINITE_FROM_0);
  checkScalar('step', step, WHOLE_FROM_1);
  const moved = new Map<number, AdamWStorages[]>();
  for (const { parameter, m, v, weightDecay } of parameters) {
    const { grad } = parameter;
    if (!grad) continue;
    const others = moved.get(weightDecay) ?? [];
    moved.set(weightDecay, others);
    others.push({
      parameter: parameter.storageToChange('adamW'),
      gradient: grad.storage,
      m: m.storageToChange('adamW'),
      v: v.storageToChange('adamW'),
      copy: parameter.buffer.copy?.storage ?? null,
    });
  }
  for (const [weightDecay, storages] of moved) backend.adamW({ ...spec, weightDecay }, storages);
  for (const { parameter } of parameters) if (parameter.presentGradient) parameter.buffer.noteCopied();
  return all && all.norm;
}

function checkedSettings(
  options: AdamWOptions,
): Omit<AdamWOptions, 'maxNorm'> & { readonly maxNorm: number | undefined } {
  checkOptions('adamW', options, ['lr', 'step', 'beta1', 'beta2', 'eps', 'weightDecay', 'maxNorm']);
  const { lr, step, beta1, beta2, eps, weightDecay, maxNorm } = options;
  if (!Tensor.is(lr)) checkNumber('adamW', 'lr', lr, FINITE_FROM_0);
  if (!Tensor.is(step)) checkNumber('adamW', 'step', step, WHOLE_FROM_1);
  checkNumber('adamW', 'beta1', beta1, BELOW_1);
  checkNumber('adamW', 'beta2', beta2, BELOW_1);
  // With eps = 0 an element whose gradients were all 0 would become 0/0.
  checkNumber('adamW', 'eps', eps, FINITE_ABOVE_0);
  checkNumber('adamW', 'weightDecay', weightDecay, FINITE_FROM_0);
  if (maxNorm !== undefined) checkNumber('adamW', 'maxNorm', maxNorm, FROM_0);
  return { lr, step, beta1, beta2, eps, weightDecay, maxNorm };
}

/** Checks a number in a tensor, now and before each replay; not one that a kernel on `cuda` made, which the check would wait for. */
function checkScalar(name: string, x: number | Tensor, range: NumberRange): void {
  if (!Tensor.is(x)) return;
  checkAlways(x, (values) => {
    if (values) checkNumber('adamW', name, values[0], range);
  });
}

/** @throws {ExecutorError} `value` where parameters, moments and gradients share memory: the kernel reads and writes them together. */
function checkApart(parameters: readonly ParameterWithMoments[]): void {
  const written = new Set<Buffer>();
  for (const { parameter, m, v } of parameters)
    for (const t of [parameter, m, v]) {
      if (written.has(t.buffer))
        throw new ExecutorError(
          'value',
          `adamW: two of the parameters and moments share memory, one of shape ${show(t.shape)}; each has its own`,
        );
      written.add(t.buffer);
    }
  for (const { parameter } of parameters)
    if (parameter.grad && written.has(parameter.grad.buffer))
      throw new ExecutorError(
        'value',
        `adamW: the gradient of a parameter of shape ${show(parameter.shape)} shares memory with a parameter or moment`,
      );
}
