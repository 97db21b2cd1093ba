import '@dag/executor/cuda';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { mul, setMatmulPrecision, sum, tensor, type Device, type Tensor } from '@dag/executor';
import { readFileSync } from 'node:fs';
import { backendOf } from '../../executor/src/devices.js';
import { prepareCuda } from '../../executor/test/prepare-cuda.js';
import { Gpt, KeyValueCache, ParameterBuilder, type ForwardOptions } from '../src/index.js';

interface Fixture {
  readonly shape: number[];
  readonly data: number[];
}
interface Case {
  readonly config: {
    blockSize: number;
    vocabSize: number;
    nLayer: number;
    nHead: number;
    nEmbd: number;
    bias: boolean;
  };
  readonly weights: Record<string, Fixture>;
  readonly tokens: Fixture;
  readonly hidden: Fixture;
  readonly upstream: Fixture;
  readonly loss: number;
  readonly gradients: Record<string, Fixture>;
}

const { cases } = JSON.parse(readFileSync(new URL('fixtures/gpt.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

/** Largest difference, relative to the largest number of the two (weights are float32). */
function difference(given: ArrayLike<number>, expected: readonly number[]): number {
  const scale = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-30);
  return expected.reduce((most, v, i) => Math.max(most, Math.abs(given[i]! - v)), 0) / scale;
}

const cudaIsMissing = prepareCuda();
const devices: readonly (Device | undefined)[] = cudaIsMissing === null ? [undefined, 'cuda'] : [undefined];
if (cudaIsMissing !== null) it.skip(`on cuda (skipped: ${cudaIsMissing})`, () => undefined);

describe.each(
  cases.flatMap((of) => devices.map((device) => ({ ...of, device, where: device ?? 'the default device' }))),
)(
  "PyTorch's GPT with bias $config.bias on $where",
  ({ config, weights, tokens, hidden, upstream, loss, gradients, device }) => {
    const build = new ParameterBuilder(0, device);
    const on = device ? { device } : {};
    const gpt = new Gpt({ ...config, dropout: 0, depth: 0 }, build);
    for (const [name, { data }] of Object.entries(weights)) build.parameters.get(name)!.set(data);
    const out = gpt.forward(tensor(Int32Array.from(tokens.data), tokens.shape, on));
    const total = sum(mul(out, tensor(Float32Array.from(upstream.data), upstream.shape, on)));
    total.backward();

    it('has the same parameters', () => {
      expect([...build.parameters.keys()].sort()).toEqual(Object.keys(weights).sort());
    });

    it('gives the same hidden states and loss', () => {
      expect(out.shape).toEqual(hidden.shape);
      expect(difference(out.dataSync(), hidden.data)).toBeLessThan(1e-5);
      expect(Math.abs(total.item() - loss)).toBeLessThan(1e-5 * Math.max(1, Math.abs(loss)));
    });

    it.each(Object.keys(gradients))('gives the same gradient of %s', (name) => {
      expect(difference(build.parameters.get(name)!.grad!.dataSync(), gradients[name]!.data)).toBeLessThan(
        1e-5,
      );
    });
  },
);

describe('the backbone', () => {
  const config = {
    blockSize: 8,
    vocabSize: 20,
    nLayer: 2,
    nHead: 2,
    nEmbd: 16,
    dropout: 0.5,
    bias: true,
    depth: 0,
  };

  it('is causal: a later token changes nothing before it', () => {
    const gpt = new Gpt(config, new ParameterBuilder(1));
    const states = (ids: number[]): number[] =>
      Array.from(gpt.forward(tensor(Int32Array.from(ids), [1, ids.length])).dataSync());
    const before = states([3, 1, 4, 1, 5]);
    const after = states([3, 1, 4, 9, 2]);
    expect(after.slice(0, 3 * 16)).toEqual(before.slice(0, 3 * 16));
    expect(after.slice(3 * 16)).not.toEqual(before.slice(3 * 16));
  });

  it('drops differently at every step, and equally at the same one', () => {
    const gpt = new Gpt(config, new ParameterBuilder(1));
    const ids = tensor(Int32Array.of(1, 2, 3), [1, 3]);
    const states = (dropoutSeed?: number | Tensor): number[] =>
      Array.from(gpt.forward(ids, { dropoutSeed }).dataSync());
    expect(states(7)).toEqual(states(7));
    expect(states(tensor(Float64Array.of(7)))).toEqual(states(7));
    expect(states(7)).not.toEqual(states(8));
    expect(states()).toEqual(states());
  });

  it('starts with the standard deviations of GPT-2', () => {
    const build = new ParameterBuilder(5);
    new Gpt({ ...config, nEmbd: 64, vocabSize: 500 }, build);
    const std = (name: string): number => {
      const values = build.parameters.get(name)!.dataSync() as Float32Array;
      return Math.sqrt(values.reduce((s, v) => s + v * v, 0) / values.length);
    };
    expect(std('wte.weight')).toBeCloseTo(0.02, 3);
    expect(std('h.0.mlp.c_fc.weight')).toBeCloseTo(0.02, 3);
    // Scaled by 1/√(2·nLayer) where it is added to the residual stream.
    expect(std('h.0.attn.c_proj.weight')).toBeCloseTo(0.01, 3);
    expect(std('h.1.mlp.c_proj.weight')).toBeCloseTo(0.01, 3);
  });

  it.each([
    [{ nEmbd: 15 }, /nEmbd is divisible by nHead, given 15 and 2/],
    [{ nLayer: 0 }, /nLayer is a whole number from 1 to 2147483647, given 0/],
    [{ activation: 'relu' as 'gelu' }, /activation is 'gelu' or 'geluTanh', given 'relu'/],
    [{ dropout: 1 }, /dropout is in \[0, 1\), given 1/],
  ])('refuses %j', (wrong, message) => {
    expect(() => new Gpt({ ...config, ...wrong }, new ParameterBuilder(0))).toThrow(message);
  });

  it('reads a text from any position on', () => {
    const build = new ParameterBuilder(0);
    const gpt = new Gpt(config, build);
    const tokens = tensor(Int32Array.of(3, 1, 4, 1, 5), [1, 5]);
    const shifted = gpt.forward(tokens, { position: 2 }).dataSync();
    expect(shifted).not.toEqual(gpt.forward(tokens).dataSync());
    const positions = tensor(Int32Array.of(2, 3, 4, 5, 6), [5]);
    expect(gpt.forward(tokens, { position: positions }).dataSync()).toEqual(shifted);
    // The same as from the first position, once its embeddings are those of the third and so on.
    const wpe = build.parameters.get('wpe.weight')!;
    wpe.set([...wpe.dataSync().subarray(2 * 16), ...new Float32Array(2 * 16)]);
    expect(gpt.forward(tokens).dataSync()).toEqual(shifted);
  });

  it('refuses more tokens than its block holds', () => {
    const gpt = new Gpt(config, new ParameterBuilder(0));
    expect(() => gpt.forward(tensor(new Int32Array(9), [1, 9]))).toThrow(/T up to 8, given \(1, 9\)/);
    const tokens = tensor(new Int32Array(6), [1, 6]);
    expect(() => gpt.forward(tokens, { position: 3 })).toThrow(/T up to 5, given \(1, 6\)/);
  });

  it('refuses a cache that would not be read', () => {
    const gpt = new Gpt(config, new ParameterBuilder(0));
    const forward = (options: ForwardOptions) => () =>
      gpt.forward(tensor(new Int32Array(1), [1, 1]), options);
    const layers = config.nLayer;
    expect(forward({ cache: new KeyValueCache(layers - 1) })).toThrow(
      /cache is a KeyValueCache of at least 2 layers/,
    );
    expect(forward({ cache: new KeyValueCache(layers), position: 1 })).toThrow(/neither with a position/);
    expect(forward({ cache: new KeyValueCache(layers), dropoutSeed: 1 })).toThrow(/nor with dropout/);
  });
});

const onCuda = cudaIsMissing === null ? describe : describe.skip;
onCuda('in training on cuda with products in bf16', () => {
  afterEach(() => setMatmulPrecision('highest'));

  it.each(cases)("is PyTorch's GPT to rounding, with bias $config.bias", (of) => {
    const { config, weights, tokens, hidden, upstream, gradients } = of;
    setMatmulPrecision('medium');
    const build = new ParameterBuilder(0, 'cuda');
    const gpt = new Gpt({ ...config, dropout: 0, depth: 0 }, build);
    for (const [name, { data }] of Object.entries(weights)) build.parameters.get(name)!.set(data);
    const on = { device: 'cuda' } as const;
    const out = gpt.forward(tensor(Int32Array.from(tokens.data), tokens.shape, on), { dropoutSeed: 1 });
    sum(mul(out, tensor(Float32Array.from(upstream.data), upstream.shape, on))).backward();
    // 2^-9 for each of the roundings on a way through all layers, with random signs.
    expect(difference(out.dataSync(), hidden.data)).toBeLessThan(2 ** -6);
    for (const [name, { data }] of Object.entries(gradients))
      expect(difference(build.parameters.get(name)!.grad!.dataSync(), data)).toBeLessThan(2 ** -5);
  });

  it('stores activations in bf16; in inference, and with other precisions, in f32', () => {
    const { config, tokens } = cases[0]!;
    const gpt = new Gpt({ ...config, dropout: 0, depth: 0 }, new ParameterBuilder(0, 'cuda'));
    const ids = tensor(Int32Array.from(tokens.data), tokens.shape, { device: 'cuda' });
    const dtypes = (precision: 'high' | 'medium', options: ForwardOptions): Set<string> => {
      setMatmulPrecision(precision);
      const allocate = jest.spyOn(backendOf('cuda'), 'allocate');
      expect(gpt.forward(ids, options).dtype).toBe('f32');
      const made = new Set<string>(allocate.mock.calls.map(([dtype]) => dtype));
      allocate.mockRestore();
      return made;
    };
    expect(dtypes('high', { dropoutSeed: 1 })).not.toContain('bf16');
    expect(dtypes('medium', {})).not.toContain('bf16');
    expect(dtypes('medium', { dropoutSeed: 1 })).toContain('bf16');
  });
});
