/** PyTorch's numbers: made by fixtures/make_fixtures.py. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import {
  adamWAll,
  affine,
  causalAttention,
  clipGradNorm,
  crossEntropy,
  cumsum,
  embedding,
  gelu,
  geluTanh,
  huber,
  layerNorm,
  linear,
  logSoftmax,
  matmul,
  mean,
  mul,
  permute,
  scaledDotProductAttention,
  select,
  sigmoid,
  softmax,
  softplus,
  sub,
  tanh,
  tensor,
  zeros,
  type DType,
  type Tensor,
} from '../src/index.js';
import { devices } from './devices.js';

interface Numbers {
  readonly shape: number[];
  readonly data: number[];
}

interface OpCase {
  readonly name: string;
  readonly op: string;
  readonly attributes: {
    dim?: number;
    heads?: number;
    delta?: number;
    beta?: number;
    reduction?: string;
    approximate?: string;
  };
  readonly inputs: Record<string, Numbers>;
  readonly output: Numbers;
  readonly upstream: Numbers;
  readonly gradients: Record<string, Numbers>;
}

type ByName = Record<'weight' | 'bias', Numbers>;

interface AdamWSteps {
  readonly options: { lr: number; betas: [number, number]; eps: number; maxNorm: number };
  readonly weightDecay: Record<'weight' | 'bias', number>;
  readonly initial: ByName;
  readonly steps: {
    gradients: ByName;
    norm: number;
    clipped: ByName;
    parameters: ByName;
    m: ByName;
    v: ByName;
  }[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));
const { cases } = read('ops') as { cases: OpCase[] };
const steps = read('adamw') as AdamWSteps;

type Inputs = Record<string, Tensor>;

/** PyTorch's functions in terms of this package's. */
const ops: Record<string, (inputs: Inputs, attributes: OpCase['attributes']) => Tensor> = {
  linear: ({ input, weight, bias }) => linear(input!, weight!, bias),
  gelu: ({ input }, { approximate }) => (approximate === 'tanh' ? geluTanh : gelu)(input!),
  sigmoid: ({ input }) => sigmoid(input!),
  tanh: ({ input }) => tanh(input!),
  softplus: ({ input }) => softplus(input!),
  layer_norm: ({ input, weight, bias }) => layerNorm(input!, weight!, bias),
  softmax: ({ input }, { dim }) => alongLast(softmax, input!, dim!),
  log_softmax: ({ input }, { dim }) => alongLast(logSoftmax, input!, dim!),
  // ln Σ exp x = x₀ − ln softmax(x)₀
  logsumexp: ({ input }) => select(sub(input!, logSoftmax(input!)), -1, 0),
  cumsum: ({ input }, { dim }) => cumsum(input!, dim!),
  matmul: ({ input, other }) => matmul(input!, other!),
  embedding: ({ input, weight }) => embedding(weight!, input!),
  causal_attention: ({ qkv }, { heads }) => causalAttention(qkv!, { heads: heads! }),
  scaled_dot_product: ({ q, k, v }) => scaledDotProductAttention(q!, k!, v!, { isCausal: true }),
  cross_entropy: ({ input, target }) => crossEntropy(input!, target!),
  huber: ({ input, target }, { delta, reduction }) => reduced(huber(sub(input!, target!), delta), reduction),
  // Huber's with delta = beta, divided by beta.
  smooth_l1: ({ input, target }, { beta, reduction }) =>
    reduced(affine(huber(sub(input!, target!), beta), 1 / beta!), reduction),
  binary_cross_entropy_with_logits: ({ input, target }, { reduction }) =>
    reduced(sub(softplus(input!), mul(input!, target!)), reduction),
};

function alongLast(op: (x: Tensor) => Tensor, x: Tensor, dim: number): Tensor {
  if (dim === -1) return op(x);
  return permute(op(permute(x, [0, 2, 1])), [0, 2, 1]);
}

function reduced(x: Tensor, reduction: string | undefined): Tensor {
  return reduction === 'mean' ? mean(x) : x;
}

/**
 * Relative to the number itself in f64, down to 1e-15 where both cancel to almost nothing; in f32, where they cancel
 * from the size of the whole tensor, relative to that.
 */
function expectClose(what: string, actual: Tensor, expected: Numbers): void {
  expect([what, actual.shape]).toEqual([what, expected.shape]);
  const largest = Math.max(1, ...expected.data.map(Math.abs));
  const values = actual.dataSync();
  const beyond = expected.data.flatMap((e, i) => {
    const allowed = actual.dtype === 'f64' ? 1e-10 * Math.abs(e) + 1e-15 * largest : 1e-5 * largest;
    return Math.abs(values[i]! - e) <= allowed ? [] : [`${what}[${i}] is ${values[i]}, in PyTorch ${e}`];
  });
  expect(beyond).toEqual([]);
}

const dtypes: readonly DType[] = ['f64', 'f32'];

describe.each(devices)('on %s', (device) => {
  describe.each(dtypes)('an op in %s gives the values and gradients of PyTorch', (dtype) => {
    it.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => {
      const inputs: Inputs = {};
      for (const [name, { data, shape }] of Object.entries(c.inputs)) {
        const requiresGrad = name in c.gradients;
        inputs[name] = tensor(data, shape, { dtype: requiresGrad ? dtype : 'i32', device, requiresGrad });
      }
      const output = ops[c.op]!(inputs, c.attributes);
      expectClose('output', output, c.output);
      output.backward(tensor(c.upstream.data, c.upstream.shape, { dtype, device }));
      for (const [name, gradient] of Object.entries(c.gradients))
        expectClose(`gradient of ${name}`, inputs[name]!.grad!, gradient);
    });
  });

  it.each(
    dtypes.flatMap((dtype) => [
      [dtype, 'before it', false] as const,
      [dtype, 'where it reads them', true] as const,
    ]),
  )('five steps of AdamW in %s on gradients clipped %s give the numbers of PyTorch', (dtype, _, inAdamW) => {
    const { lr, betas, eps, maxNorm } = steps.options;
    const parameters = (['weight', 'bias'] as const).map((name) => {
      const { data, shape } = steps.initial[name];
      const p = tensor(data, shape, { dtype, device, requiresGrad: true });
      return { name, p, m: zeros(shape, { dtype, device }), v: zeros(shape, { dtype, device }) };
    });
    steps.steps.forEach((expected, i) => {
      for (const { name, p } of parameters)
        p.grad = tensor(expected.gradients[name].data, p.shape, { dtype, device });
      const options = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay: 0, step: i + 1 };
      const all = parameters.map(({ name, p: parameter, m, v }) => ({
        ...{ parameter, m, v },
        weightDecay: steps.weightDecay[name],
      }));
      const norm = inAdamW
        ? adamWAll(all, { ...options, maxNorm })
        : clipGradNorm(
            parameters.map(({ p }) => p),
            maxNorm,
          );
      if (!inAdamW) adamWAll(all, options);
      expect(norm.dtype).toBe('f64');
      expect(norm.item() / expected.norm).toBeCloseTo(1, dtype === 'f64' ? 10 : 5);
      for (const { name, p, m, v } of parameters) {
        const kept = inAdamW ? expected.gradients[name] : expected.clipped[name];
        expectClose(`gradient of ${name}, step ${i + 1}`, p.grad!, kept);
        expectClose(`${name} after step ${i + 1}`, p, expected.parameters[name]);
        expectClose(`first moment of ${name}, step ${i + 1}`, m, expected.m[name]);
        expectClose(`second moment of ${name}, step ${i + 1}`, v, expected.v[name]);
      }
    });
  });
});
