import type { AdamWSpec } from '../backend.js';
import { ExecutorError } from '../error.js';
import { sameShape, show } from '../shape.js';
import { commonBackend, commonDType, empty, type Tensor } from '../tensor.js';
import { scalarOf } from './scalar.js';

/**
 * Scales all gradients together to an L2 norm of at most `maxNorm`, in place; → the norm before, one f64 element.
 * Infinity only measures.
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number): Tensor {
  const gradients = [...parameters].flatMap((p) => (p.grad ? [p.grad] : []));
  if (gradients.length === 0)
    throw new ExecutorError('autograd', 'clipGradNorm: no parameter has a gradient; call backward first');
  const backend = commonBackend('clipGradNorm', ...gradients);
  const total = empty([], 'f64', backend);
  const norm = empty([], 'f64', backend);
  backend.fill(total.storage, 0);
  backend.sumOfSquares(
    gradients.map((g) => g.storage),
    total.storage,
  );
  if (maxNorm < Infinity)
    backend.scaleToNorm(
      gradients.map((g) => g.storageToChange('clipGradNorm')),
      total.storage,
      maxNorm,
    );
  backend.unary('sqrt', total.storage, norm.storage, 0, 0);
  return norm;
}

export interface AdamWOptions extends Omit<AdamWSpec, 'lr' | 'step'> {
  /** Learning rate. As a tensor of one f64, it may change from one call of a recorded step to the next. */
  readonly lr: number | Tensor;
  /** Number of this step, counted from 1; a tensor as `lr`. */
  readonly step: number | Tensor;
}

/**
 * One step of AdamW (Loshchilov & Hutter 2019, algorithm 2) on `parameter` in place, with its moments `m` and `v`
 * of the same shape. A parameter without a gradient stays as it is.
 */
export function adamW(parameter: Tensor, m: Tensor, v: Tensor, options: AdamWOptions): void {
  adamWAll([{ parameter, m, v }], options);
}

/** `adamW` on many parameters of one device, which on `cuda` move in one pass. */
export function adamWAll(
  parameters: readonly { readonly parameter: Tensor; readonly m: Tensor; readonly v: Tensor }[],
  options: AdamWOptions,
): void {
  for (const { parameter, m, v } of parameters) {
    if (!sameShape(parameter.shape, m.shape) || !sameShape(parameter.shape, v.shape))
      throw new ExecutorError(
        'shape',
        `adamW: parameter ${show(parameter.shape)}, moments ${show(m.shape)} and ${show(v.shape)}`,
      );
    commonDType('adamW', parameter, m, v);
  }
  const tensors = parameters.flatMap(({ parameter, m, v }) => [parameter, m, v]);
  if (tensors.length === 0) return;
  const backend = commonBackend('adamW', ...tensors);
  const spec = {
    ...options,
    lr: scalarOf('adamW', 'lr', options.lr, backend),
    step: scalarOf('adamW', 'step', options.step, backend),
  };
  const moved = parameters.flatMap(({ parameter, m, v }) => {
    const { grad } = parameter;
    if (!grad) return [];
    return [
      {
        parameter: parameter.storageToChange('adamW'),
        gradient: grad.storage,
        m: m.storageToChange('adamW'),
        v: v.storageToChange('adamW'),
      },
    ];
  });
  backend.adamW(spec, moved);
}
