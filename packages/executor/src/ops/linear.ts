import { BELOW_1, checkNumber, checkOptions, named } from '../arguments.js';
import type { DType, LinearSpec, MatmulSpec, Storage } from '../backend.js';
import { ACTIVATIONS, type Activation } from '../elementwise.js';
import { ExecutorError } from '../error.js';
import { matmulPrecision } from '../precision.js';
import { sameShape, show, sizeOf } from '../shape.js';
import { record } from '../tape.js';
import {
  commonBackend,
  commonDType,
  empty,
  passGradient,
  resultDType,
  wantedGradOf,
  type Tensor,
} from '../tensor.js';
import { inBf16 } from '../working-copy.js';
import { seedOfDropout, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';

/**
 * Of results of an activation and nothing after it: if `linear` is all that they are used for, the product of its backward pass continues
 * through the activation. `gradient` is then the gradient of the preactivation, in the place of the result's.
 */
interface Activated {
  readonly activation: Activation;
  readonly preactivation: Tensor;
  gradient: Tensor | null;
}
const activated = new WeakMap<Tensor, Activated>();

/** What `linear` computes in the same pass as the product: its epilogue. */
export interface LinearOptions {
  /** Function applied to x·weightᵀ + bias. */
  readonly activation?: Activation;
  /** Probability in [0, 1) of dropping an element after the activation. Default: 0. */
  readonly dropout?: number;
  /** Seed of the dropout mask; required with dropout. */
  readonly seed?: SeedOption;
  /** (…, out), added last. */
  readonly residual?: Tensor;
  /** The dtype of the result: bf16, of f32 on `cuda`; left out: that of the weight. */
  readonly dtype?: DType;
}

/**
 * x (…, in) · weightᵀ + bias → (…, out), with weight (out, in) and bias (out) as in PyTorch, f32 or f64. Options add the epilogue of a
 * transformer block in the same pass: residual + dropout(activation(x·weightᵀ + bias)). On `cuda`, with `setMatmulPrecision('medium')`, x
 * and the result may be bf16 while weight, bias and residual are f32; numbers are the same as with f32, rounded.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the tensors do not go together, `dtype` also for bf16 with another precision;
 *   `value` where dropout is not in [0, 1) or has no seed.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor | null, options: LinearOptions = {}): Tensor {
  checkOptions('linear', options, ['activation', 'dropout', 'seed', 'residual', 'dtype']);
  const { activation = null, dropout = 0, seed: givenSeed, residual } = options;
  checkNumber('linear', 'dropout', dropout, BELOW_1);
  const seed = seedOfDropout('linear', dropout, givenSeed);
  const inputs = [x, weight, ...[bias, residual].filter((t) => t !== undefined && t !== null)];
  const backend = commonBackend('linear', inputs);
  const computed = commonDType('linear', x.dtype === 'bf16' ? inputs.slice(1) : inputs);
  const dtype = resultDType('linear', computed, options.dtype);
  checkBf16(x, computed, dtype);
  const shape = [...x.shape.slice(0, -1), weight.shape[0] ?? 0];
  check(x, weight, bias, residual, shape);
  if (activation !== null && !ACTIVATIONS.includes(activation))
    throw new ExecutorError(
      'value',
      `linear: activation is one of '${ACTIVATIONS.join("', '")}', given ${named(activation)}`,
    );
  const [n, k] = weight.shape as [number, number];
  const spec: LinearSpec = {
    m: sizeOf(shape.slice(0, -1)),
    n,
    k,
    activation,
    dropout,
    seed: seedFrom('linear', seed, backend),
  };
  const weightFor = (values: Storage): Storage => (x.dtype === 'bf16' ? inBf16(weight, values) : values);
  const y = empty(shape, dtype, backend);
  const preactivation = activation ? empty(shape, dtype, backend) : null;
  backend.linear(
    spec,
    x.storage,
    weightFor(weight.storage),
    bias?.storage ?? null,
    residual?.storage ?? null,
    y.storage,
    preactivation?.storage ?? null,
  );
  const before = activated.get(x);
  const saved = {
    x: weight.requiresGrad ? x : null,
    weight: x.requiresGrad ? weight : null,
    preactivation,
    before: before?.preactivation ?? null,
    seed: dropout > 0 ? seedTensor(seed) : null,
  };
  record('linear', y, inputs, saved, (gradY, saved) => {
    const dropped = { ...spec, seed: savedSeed(seed, saved.seed) };
    const gradBias = bias ? wantedGradOf(bias) : null;
    let gradSum = gradY;
    const own = activated.get(y);
    const isGradSum = own !== undefined && own.gradient !== null && own.gradient === y.presentGradient;
    if ((preactivation || dropout > 0) && !isGradSum) {
      gradSum = empty(shape, dtype, backend).storage;
      backend.linearBackward(dropped, gradY, saved.preactivation, gradSum, gradBias);
    } else if (gradBias) backend.linearBackward(dropped, gradY, null, null, gradBias);
    const product = (m: number, n: number, k: number, transposeA: boolean): MatmulSpec => ({
      ...{ batch: 1, m, n, k, transposeA, transposeB: false },
      ...{ strideA: 0, strideB: 0, strideC: 0 },
    });
    const gradX = wantedGradOf(x);
    if (gradX) {
      const ofX = product(spec.m, k, n, false);
      const values = weightFor(saved.weight!);
      if (before && x.node?.uses === 1) {
        backend.matmulBackward!(ofX, gradSum, values, before.activation, saved.before!, gradX.storage);
        before.gradient = x.presentGradient;
      } else backend.matmul(ofX, gradSum, values, gradX);
    }
    const gradWeight = wantedGradOf(weight);
    if (gradWeight) backend.matmul(product(n, k, spec.m, true), gradSum, saved.x!, gradWeight);
    // Its gradient is that of the preactivation, which is not to be read as its own.
    if (isGradSum) {
      y.setGradient(null, false);
      own.gradient = null;
    }
    if (residual) passGradient(y, residual);
  });
  if (y.node && activation && preactivation && dropout === 0 && !residual && backend.matmulBackward)
    activated.set(y, { activation, preactivation, gradient: null });
  return y;
}

/** @throws {ExecutorError} `dtype` */
function checkBf16(x: Tensor, computed: DType, dtype: DType): void {
  if (x.dtype !== 'bf16' && dtype !== 'bf16') return;
  if (computed !== 'f32')
    throw new ExecutorError(
      'dtype',
      `linear: x is bf16, weight, bias and residual ${computed}; expected f32`,
    );
  if (matmulPrecision() !== 'medium')
    throw new ExecutorError(
      'dtype',
      `linear: bf16 needs setMatmulPrecision('medium'); the precision is '${matmulPrecision()}'`,
    );
}

function check(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null | undefined,
  residual: Tensor | undefined,
  shape: readonly number[],
): void {
  if (weight.shape.length !== 2 || x.shape[x.shape.length - 1] !== weight.shape[1])
    throw new ExecutorError(
      'shape',
      `linear: x ${show(x.shape)} and weight ${show(weight.shape)} do not fit; expected (…, in) and (out, in)`,
    );
  if (bias && !sameShape(bias.shape, [weight.shape[0]!]))
    throw new ExecutorError(
      'shape',
      `linear: weight ${show(weight.shape)} and bias ${show(bias.shape)} do not fit; expected (out, in) and (out)`,
    );
  if (residual && !sameShape(residual.shape, shape))
    throw new ExecutorError(
      'shape',
      `linear: residual ${show(residual.shape)} is not of the shape ${show(shape)}`,
    );
}
