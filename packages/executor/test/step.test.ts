/** Recorded steps: the same bits on every backend as without, without JavaScript after two calls, and on cuda one launch of a graph in place of all kernels. */
import { describe, expect, it } from '@jest/globals';
import {
  adamW,
  adamWAll,
  add,
  affine,
  cast,
  causalAttention,
  clipGradNorm,
  crossEntropy,
  dropout,
  embedding,
  execute,
  full,
  gelu,
  layerNorm,
  linear,
  mean,
  mul,
  noGrad,
  ones,
  randn,
  recordStep,
  reshape,
  scope,
  setMatmulPrecision,
  square,
  sub,
  sum,
  tensor,
  zeros,
  type Device,
  type Shape,
  type Tensor,
} from '../src/index.js';
import { cudaIsMissing, devices } from './devices.js';
import { emulator } from './emulator.js';

const C = 8;
const CLASSES = 11;

/** Embedding, a block with attention and a head, and the moments of AdamW. */
function network(device: Device) {
  let n = 0;
  const weight = (...shape: number[]) => {
    const p = randn(shape, { device, seed: [1, n++], std: 0.3 });
    p.requiresGrad = true;
    return { p, m: zeros(shape, { device }), v: zeros(shape, { device }) };
  };
  const net = {
    table: weight(CLASSES, C),
    norm: [weight(C), weight(C)] as const,
    attention: [weight(3 * C, C), weight(3 * C)] as const,
    up: [weight(2 * C, C), weight(2 * C)] as const,
    down: [weight(C, 2 * C), weight(C)] as const,
    out: weight(CLASSES, C),
  };
  return { ...net, all: [net.table, ...net.norm, ...net.attention, ...net.up, ...net.down, net.out] };
}
type Network = ReturnType<typeof network>;
type Inputs = Readonly<Record<'tokens' | 'targets' | 'lr' | 'count' | 'seed', Tensor>>;
type Plain = Readonly<Record<'tokens' | 'targets', Tensor> & Record<'lr' | 'count' | 'seed', number>>;

/** One training step with dropout of all kinds, clipping and AdamW. */
function train(net: Network, { tokens, targets, lr, count, seed }: Inputs | Plain) {
  for (const { p } of net.all) p.zeroGrad();
  const x = dropout(embedding(net.table.p, tokens), 0.1, [seed, 0]);
  const qkv = linear(layerNorm(x, net.norm[0].p, net.norm[1].p), net.attention[0].p, net.attention[1].p);
  const mixed = add(x, causalAttention(qkv, { heads: 2, dropout: 0.2, seed: [seed, 1] }));
  const hidden = linear(mixed, net.up[0].p, net.up[1].p, {
    activation: 'gelu',
    dropout: 0.2,
    seed: [seed, 2],
  });
  const y = linear(hidden, net.down[0].p, net.down[1].p, { residual: mixed, dropout: 0.2, seed: [seed, 3] });
  const loss = crossEntropy(linear(gelu(y), net.out.p), targets);
  loss.backward();
  const norm = clipGradNorm(
    net.all.map(({ p }) => p),
    0.5,
  );
  // Clipped once more, where the optimizer reads them.
  adamWAll(
    net.all.map(({ p, m, v }) => ({ parameter: p, m, v })),
    { lr, beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.01, step: count, maxNorm: 0.4 },
  );
  return { loss, norm };
}

const LENGTHS = [5, 5, 5, 7, 5, 7, 5, 7, 5, 5, 7, 5, 5, 7];

/** Inputs of step `i`, counted from 0: two lengths in turn, a learning rate that changes, targets that are left out. */
function inputsOf(i: number, device: Device): Plain {
  const time = LENGTHS[i % LENGTHS.length]!;
  const whole = (f: (k: number) => number) =>
    tensor(
      Int32Array.from({ length: 2 * time }, (_, k) => f(k)),
      [2, time],
      { device },
    );
  return {
    tokens: whole((k) => (3 * k + 5 * i) % CLASSES),
    targets: whole((k) => ((k + i) % 6 === 5 ? -1 : (k + 2 * i) % CLASSES)),
    lr: 0.01 * (1 + Math.cos(i / 3)),
    count: i + 1,
    seed: 1000 + i,
  };
}

const f64 = (x: number, device: Device) => tensor(Float64Array.of(x), [], { device });
const bitsOf = (net: Network) =>
  net.all.flatMap(({ p, m, v }) => [p, m, v, p.grad!].map((t) => Array.from(t.dataSync())));
const recordingError = (message: RegExp) =>
  expect.objectContaining({
    name: 'ExecutorError',
    code: 'recording',
    message: expect.stringMatching(message),
  });

describe.each(devices)('on %s', (device) => {
  const values = (list: number[], shape?: Shape) => tensor(Float32Array.from(list), shape, { device });

  it('gives the bits of the same steps without recording, over lengths, rates and seeds that change', () => {
    const STEPS = 14;
    const plain = network(device);
    const expected = Array.from({ length: STEPS }, (_, i) =>
      scope(() => {
        const { tokens, targets, lr, count, seed } = inputsOf(i, device);
        const numbers = { lr: f64(lr, device), count: f64(count, device), seed: f64(seed, device) };
        const { loss, norm } = train(plain, { tokens, targets, ...numbers });
        return [loss.item(), norm.item()];
      }),
    );
    const recorded = network(device);
    const step = recordStep((inputs: Inputs) => train(recorded, inputs));
    // Tensors of the sizes that the step works in, of another value after each call: none may lie where it writes or reads.
    const held: Tensor[] = [];
    const actual = Array.from({ length: STEPS }, (_, i) => {
      const { loss, norm } = scope(() => step(inputsOf(i, device)));
      for (const shape of [[2, 5, C], [2, 7, 3 * C], [CLASSES, C], [2, 5], [2, 7], [C], [1]])
        for (const dtype of ['f32', 'f64'] as const) held.push(full(shape, held.length, { dtype, device }));
      return [loss.item(), norm.item()];
    });
    expect(actual).toEqual(expected);
    expect(held.map((t) => new Set(t.dataSync()))).toEqual(held.map((_, value) => new Set([value])));
    expect(bitsOf(recorded)).toEqual(bitsOf(plain));
    // Numbers in place of tensors do the same.
    const numbers = network(device);
    for (let i = 0; i < STEPS; i++) scope(() => train(numbers, inputsOf(i, device)).loss.size);
    expect(bitsOf(numbers)).toEqual(bitsOf(plain));
    step.release();
  });

  it('adds up gradients over calls, and overwrites those that count as zero', () => {
    const w = values([1, 2, 3]);
    w.requiresGrad = true;
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      const loss = sum(mul(w, x));
      loss.backward();
      return loss;
    });
    for (let i = 0; i < 6; i++) {
      w.zeroGrad();
      for (let share = 1; share <= 3; share++) step({ x: values([share, i, 1]) });
      expect(Array.from(w.grad!.dataSync())).toEqual([6, 3 * i, 3]);
    }
    step.release();
  });

  it('gives results that hold a part twice, or themselves, as they are', () => {
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      const part = [square(x)];
      const result: unknown[] = [part, part];
      result.push(result);
      return Object.fromEntries([['__proto__', result]]);
    });
    for (const value of [3, 4, 5]) {
      const result = step({ x: tensor([value]) })['__proto__'] as unknown as [[Tensor], [Tensor], unknown];
      expect(result[0][0].item()).toBe(value ** 2);
      expect([result[1] === result[0], result[2] === result]).toEqual([true, true]);
    }
  });

  it('keeps results until the next call, without a tape, in arrays, maps and objects', () => {
    const w = values([2]);
    w.requiresGrad = true;
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      const y = mul(w, x);
      return { list: [y, w], map: new Map([['square', square(y)]]), name: 'kept' };
    });
    for (let i = 0; i < 5; i++) {
      const { list, map, name } = step({ x: values([i]) });
      expect([list[0]!.item(), list[1]!.item(), map.get('square')!.item(), name]).toEqual([
        2 * i,
        2,
        4 * i * i,
        'kept',
      ]);
      expect(() => list[0]!.backward()).toThrow(expect.objectContaining({ code: 'autograd' }));
      step({ x: values([10]) });
      expect(() => list[0]!.item()).toThrow(expect.objectContaining({ code: 'released' }));
      expect(w.item()).toBe(2);
    }
    step.release();
  });

  it('sees new values of tensors from outside', () => {
    const w = values([1]);
    const step = recordStep(({ x }: Record<'x', Tensor>) => mul(w, x));
    const seen = [1, 2, 3, 4, 5].map((value) => {
      w.set([value]);
      return step({ x: values([10]) }).item();
    });
    expect(seen).toEqual([10, 20, 30, 40, 50]);
    step.release();
  });

  it('refuses to read a tensor inside, in any call, and goes on', () => {
    let read = true;
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      const y = mul(x, x);
      if (read) y.dataSync();
      return y;
    });
    for (let i = 0; i < 2; i++)
      expect(() => step({ x: values([3]) })).toThrow(
        recordingError(/a tensor of shape \(1\) is read inside/),
      );
    read = false;
    expect(step({ x: values([3]) }).item()).toBe(9);
    read = true;
    expect(() => step({ x: values([3, 4], [1, 2]) })).toThrow(recordingError(/read inside/));
    step.release();
  });

  it('checks indices in every call', () => {
    const table = zeros([4, 2], { device });
    const step = recordStep(({ index, logits }: Record<'index' | 'logits', Tensor>) => [
      embedding(table, index),
      crossEntropy(logits, index),
    ]);
    const given = (list: number[]) => ({
      index: tensor(Int32Array.from(list), undefined, { device }),
      logits: zeros([2, 4], { device }),
    });
    for (let i = 0; i < 3; i++) step(given([0, 3]));
    expect(() => step(given([0, 4]))).toThrow(
      expect.objectContaining({ code: 'value', message: 'embedding: index 4 is not in 0 … 3' }),
    );
    step(given([1, 2]));
    step.release();
    const loss = recordStep(({ index, logits }: Record<'index' | 'logits', Tensor>) =>
      crossEntropy(logits, index),
    );
    for (let i = 0; i < 3; i++) loss(given([-1, 3]));
    expect(() => loss(given([-1, -1]))).toThrow(/^crossEntropy: no target in \(2\)/);
    loss.release();
  });

  it('refuses inputs that require a gradient, tapes from outside, and tensors of another device', () => {
    const w = values([1]);
    w.requiresGrad = true;
    const step = recordStep(({ x }: Record<'x', Tensor>) => square(x));
    expect(() => step({ x: w })).toThrow(/the input 'x' of shape \(1\) requires a gradient/);
    const outside = square(w);
    const through = recordStep(({ x }: Record<'x', Tensor>) => mul(outside, x));
    expect(() => through({ x: values([1]) })).toThrow(/that 'square' made outside has a tape/);
    const other = devices.find((d) => d !== device)!;
    const mixed = recordStep(({ x }: Record<'x', Tensor>) => [
      x,
      square(tensor([1], [1], { device: other })),
    ]);
    expect(() => mixed({ x: values([1]) })).toThrow(expect.objectContaining({ code: 'device' }));
    expect(() => recordStep(() => Promise.resolve(1))({} as never)).toThrow(/returned a promise/);
  });

  it('works on copies of its inputs', () => {
    const h = values([1]);
    const step = recordStep(({ state, x }: Record<'state' | 'x', Tensor>) => {
      noGrad(() => state.assign(add(mul(state, 0.5), x)));
      return { next: sum(state), state };
    });
    for (let i = 0; i < 4; i++) {
      const { next, state } = step({ state: h, x: values([1]) });
      expect([next.item(), h.item()]).toEqual([1 + 0.5 * h.item(), h.item()]);
      h.assign(state);
      // A returned input counts as a result of this call alone.
      step({ state: h, x: values([3]) });
      expect(() => state.item()).toThrow(expect.objectContaining({ code: 'released' }));
    }
    step.release();
  });

  it('takes views of parameters', () => {
    const w = values([1, 2, 3, 4]);
    w.requiresGrad = true;
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      w.zeroGrad();
      const y = sum(mul(x, reshape(w, [1, 4])));
      y.backward();
      return y;
    });
    for (let i = 1; i < 5; i++) {
      expect(step({ x: full([1, 4], i, { device }) }).item()).toBe(10 * i);
      expect([...w.grad!.dataSync()]).toEqual([i, i, i, i]);
    }
    step.release();
  });

  it('gives each call gradients of its own where they were set to null', () => {
    const w = values([1, 1]);
    w.requiresGrad = true;
    const step = recordStep(({ x }: Record<'x', Tensor>) => sum(mul(w, x)).backward());
    const others: Tensor[] = [];
    let kept: Tensor | null = null;
    for (let i = 1; i < 6; i++) {
      step({ x: values([i, i]) });
      expect([...w.grad!.dataSync()]).toEqual([i, i]);
      // What an earlier call made says that its memory was used again.
      if (kept && i > 3 && device !== 'reference')
        expect(() => kept!.dataSync()).toThrow(expect.objectContaining({ code: 'released' }));
      kept = w.grad;
      if (i % 2) w.grad!.dispose();
      w.grad = null;
      others.push(full([2], -i, { device }));
    }
    expect(others.map((t) => [...t.dataSync()])).toEqual([1, 2, 3, 4, 5].map((i) => [-i, -i]));
    step.release();
  });

  it('runs as a part of a step that calls it', () => {
    const inner = recordStep(({ x }: Record<'x', Tensor>) => square(x));
    const outer = recordStep(({ x }: Record<'x', Tensor>) => add(inner({ x }), inner({ x: add(x, x) })));
    expect([1, 2, 3, 4].map((x) => outer({ x: values([x]) }).item())).toEqual([5, 20, 45, 80]);
    outer.release();
  });

  it('runs again where a tensor from outside was released', () => {
    let w: Tensor | undefined;
    const step = recordStep(({ x }: Record<'x', Tensor>) => mul(w!, x));
    scope(() => {
      w = values([2]);
      for (let i = 0; i < 3; i++) expect(step({ x: values([4]) }).item()).toBe(8);
    });
    expect(() => step({ x: values([4]) })).toThrow(expect.objectContaining({ code: 'released' }));
    w = values([5]);
    for (let i = 0; i < 3; i++) expect(step({ x: values([4]) }).item()).toBe(20);
    step.release();
  });
});

/** Backends that repeat steps. */
const recording = devices.filter((device) => device !== 'reference');
const recordingDescribe =
  recording.length > 0 ? describe.each(recording) : describe.skip.each(['no backend that records']);

recordingDescribe('a recorded step on %s', (name) => {
  const device = name as Device;
  const values = (list: number[], shape?: Shape) => tensor(Float32Array.from(list), shape, { device });

  /** A step that works in memory of its own size between x and what it gives, 3·x + 1 for the numbers of x. */
  const scratchThenResult = ({ x }: Record<'x', Tensor>) =>
    add(mul(x, full([], 3, { device })), ones([], { device }));
  /** New tensors of four numbers, which would lie where a freed block did. */
  const fresh = () => Array.from({ length: 8 }, () => values([5, 6, 7, 8]));
  const expectUntouched = (tensors: readonly Tensor[]) => {
    for (const t of tensors) expect([...t.dataSync()]).toEqual([5, 6, 7, 8]);
  };

  it('takes host values of any length', () => {
    const many = new Float32Array(300_000).fill(1);
    const step = recordStep(({ x }: Record<'x', Tensor>) => mul(x, sum(tensor(many, undefined, { device }))));
    const x = values([2]);
    expect([1, 2, 3].map(() => step({ x }).item())).toEqual([600_000, 600_000, 600_000]);
    step.release();
  });

  it('keeps the memory of a failed recording, which an older one may work in', () => {
    let factor = 1;
    const step = recordStep(({ x }: Record<'x', Tensor>) =>
      x.shape.length === 1 ? scratchThenResult({ x }) : affine(x, factor++),
    );
    const x = values([1, 2, 3, 4]);
    for (let i = 0; i < 3; i++) step({ x });
    step({ x: values([1, 2, 3, 4], [2, 2]) });
    expect(() => step({ x: values([1, 2, 3, 4], [2, 2]) })).toThrow(
      expect.objectContaining({ code: 'recording' }),
    );
    const others = fresh();
    expect([...step({ x }).dataSync()]).toEqual([4, 7, 10, 13]);
    expectUntouched(others);
    step.release();
  });

  it('keeps the memory of a recording that is dropped, which another one may work in', () => {
    let w: Tensor | undefined;
    const step = recordStep(({ x }: Record<'x', Tensor>) =>
      x.shape.length === 1 ? scratchThenResult({ x }) : mul(w!, x),
    );
    const x = values([1, 2, 3, 4]);
    for (let i = 0; i < 3; i++) step({ x });
    scope(() => {
      w = full([], 2, { device });
      for (let i = 0; i < 3; i++) step({ x: values([1, 2, 3, 4], [2, 2]) });
    });
    // The first call after w has gone drops what was recorded with it.
    step({ x });
    const others = fresh();
    expect([...step({ x }).dataSync()]).toEqual([4, 7, 10, 13]);
    expectUntouched(others);
    step.release();
  });

  it('refuses numbers and values of the host that change inside: they would stay as they were', () => {
    let call = 0;
    const w = values([1, 2]);
    const [m, v] = [zeros([2], { device }), zeros([2], { device })];
    w.requiresGrad = true;
    const withRate = recordStep(({ x }: Record<'x', Tensor>) => {
      w.zeroGrad();
      sum(mul(w, x)).backward();
      adamW(w, m, v, { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, step: ++call });
    });
    const calls = (step: typeof withRate | (() => unknown)) => {
      for (let i = 0; i < 4; i++) step({ x: values([1, 2]) });
    };
    expect(() => {
      calls(withRate);
    }).toThrow(recordingError(/the kernel adamW\w* had other numbers; .* given to the step as inputs/));
    const withData = recordStep(({ x }: Record<'x', Tensor>) => mul(x, values([call++, 1])));
    expect(() => {
      calls(withData);
    }).toThrow(recordingError(/a write of values of the host had other numbers/));
    const withOther = recordStep(({ x }: Record<'x', Tensor>) => (call++ % 2 ? square(x) : gelu(square(x))));
    expect(() => {
      calls(withOther);
    }).toThrow(recordingError(/came where .* did/));
    expect(square(values([3])).item()).toBe(9);
  });

  it('runs its function twice, and repeats its work from then on', () => {
    let runs = 0;
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      runs++;
      return square(x);
    });
    expect([1, 2, 3, 4, 5].map((x) => step({ x: values([x]) }).item())).toEqual([1, 4, 9, 16, 25]);
    expect(runs).toBe(2);
    step.release();
  });

  it('checks indices that it makes itself in every call, or gives NaN where only the device knows them', () => {
    const table = values([1, 2, 3, 4], [4, 1]);
    const step = recordStep(({ x }: Record<'x', Tensor>) => embedding(table, cast(x, 'i32')));
    const at = (x: number) => step({ x: values([x]) }).item();
    expect([0, 3, 1, 2].map(at)).toEqual([1, 4, 2, 3]);
    if (device === 'cuda') expect(at(4)).toBeNaN();
    else expect(() => at(4)).toThrow('embedding: index 4 is not in 0 … 3');
    expect(at(3)).toBe(4);
    step.release();
  });

  it('finds a tensor from outside that moved to a smaller block when it left its scope', () => {
    const N = 1000;
    let w: Tensor | undefined;
    const step = recordStep(({ x }: Record<'x', Tensor>) => sum(mul(w!, x)));
    scope(() => {
      // The free block that serves w is larger than twice its size.
      scope(() => full([10 * N], 1, { device }).size);
      w = full([N], 2, { device });
      for (let i = 0; i < 3; i++) expect(step({ x: ones([N], { device }) }).item()).toBe(2 * N);
      return w;
    });
    const others = [10 * N, 10 * N].map((n) => full([n], 7, { device }));
    for (let i = 0; i < 3; i++) expect(step({ x: ones([N], { device }) }).item()).toBe(2 * N);
    expect(others.map((t) => new Set(t.dataSync()))).toEqual([new Set([7]), new Set([7])]);
    step.release();
  });

  it('takes any number of values of the host, and finds those that change', () => {
    const many = new Float32Array(300_000).fill(1);
    const step = recordStep(({ x }: Record<'x', Tensor>) => sum(mul(x, tensor(many, undefined, { device }))));
    for (let i = 0; i < 3; i++) expect(step({ x: values([2]) }).item()).toBe(600_000);
    step.release();
    step({ x: values([2]) });
    many[299_999] = 2;
    expect(() => step({ x: values([2]) })).toThrow(
      recordingError(/a write of values of the host had other numbers/),
    );
    step.release();
  });

  it('refuses other tensors from outside than in the call before', () => {
    let x = values([1]);
    const [a, b] = [values([1]), values([2])];
    let n = 0;
    const input = { input: values([0]) };
    for (const body of [() => sum(x), () => (n++ % 2 ? sub(a, b) : sub(b, a))]) {
      const step = recordStep(body);
      step(input);
      x = values([2]);
      expect(() => step(input)).toThrow(recordingError(/used another tensor of shape \(1\) from outside/));
    }
  });

  it('works in no memory that it released of a tensor from outside', () => {
    let cache: Tensor | null = null;
    const kept: Tensor[] = [];
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      cache?.dispose();
      return sum([x, x, x, x].reduce((y, z) => add(y, z), mul(x, x)));
    });
    for (let i = 1; i < 6; i++) {
      cache = zeros([400], { device });
      expect(step({ x: full([400], i, { device }) }).item()).toBe(400 * (i * i + 4 * i));
      for (let k = 0; k < 3; k++) kept.push(full([400], -1, { device }));
    }
    for (const t of kept) expect(new Set(t.dataSync())).toEqual(new Set([-1]));
    step.release();
  });

  it('repeats the writes of values that stay the same', () => {
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      const shift = values([1, 2, 3]);
      const shifted = scope(() => add(x, shift));
      return sub(mul(shifted, values([10, 10, 10])), values([0, 0, 1]));
    });
    for (let i = 0; i < 5; i++)
      expect(Array.from(step({ x: values([i, i, i]) }).dataSync())).toEqual([
        10 * i + 10,
        10 * i + 20,
        10 * i + 29,
      ]);
    step.release();
  });

  it('records anew where products take another precision, or a parameter no gradient', () => {
    const x = randn([4, 8], { seed: [1, 1], device });
    const w = randn([8, 8], { seed: [1, 2], device, requiresGrad: true });
    const step = recordStep(({ input }: Record<'input', Tensor>) => {
      w.zeroGrad();
      const loss = mean(square(linear(input, w)));
      if (w.requiresGrad) loss.backward();
      return loss;
    });
    const results = () => Array.from({ length: 4 }, () => step({ input: x }).item());
    const highest = new Set(results());
    setMatmulPrecision('medium');
    const medium = new Set(results());
    setMatmulPrecision('highest');
    expect([highest.size, medium.size]).toEqual([1, 1]);
    if (device === 'cuda') expect([...medium]).not.toEqual([...highest]);
    w.requiresGrad = false;
    w.grad = null;
    results();
    expect(w.grad).toBeNull();
    expect(new Set(results())).toEqual(highest);
    step.release();
  });

  it('refuses to execute graphs for JavaScript inside', () => {
    const graph = {
      depth: 1,
      size: 1,
      ...{ V_mag: Float64Array.of(2, 0), V_sign: Float64Array.of(1, 1) },
      ...{ O: Float64Array.of(1, 0), G: Float64Array.of(1) },
    };
    const step = recordStep(({ x }: Record<'x', Tensor>) =>
      mul(x, values([execute(graph, { backend: device })[0]!])),
    );
    expect(() => step({ x: values([1]) })).toThrow(recordingError(/values are read inside the step/));
    expect(execute(graph, { backend: device })[0]).toBe(2);
  });
});

const onEmulator = cudaIsMissing === null && process.env['DAG_TEST_CUDA'] !== 'device';
const emulated = onEmulator ? describe : describe.skip;
emulated(
  `a step on cuda${onEmulator ? '' : ` (skipped: ${cudaIsMissing ?? 'a real device is tested'})`}`,
  () => {
    const device = 'cuda';
    const { counts, used, fail } = emulator();
    const values = (list: number[], shape?: Shape) => tensor(Float32Array.from(list), shape, { device });

    it('is one launch of a graph in steady state, takes no memory then, and gives all back', () => {
      const before = counts();
      const net = network(device);
      const step = recordStep((inputs: Inputs) => train(net, inputs));
      const run = (i: number) => scope(() => step(inputsOf(i, device)).loss.item());
      // Two lengths, each in two states: without gradients before the first call, and with them.
      for (let i = 0; i < 14; i++) run(i);
      const [steady, memory] = [counts(), used()];
      for (let i = 14; i < 28; i++) run(i);
      expect(counts()).toEqual({ ...steady, graphLaunches: steady.graphLaunches + 14 });
      expect(used()).toBe(memory);
      expect(steady.graphs - before.graphs).toBe(2);
      step.release();
      expect(counts().graphs).toBe(before.graphs);
      // What it kept serves others: a step like it takes no more.
      const next = recordStep((inputs: Inputs) => train(net, inputs));
      for (let i = 0; i < 14; i++) scope(() => next(inputsOf(i, device)).loss.item());
      expect(used()).toBeLessThanOrEqual(memory + 4096);
      next.release();
    });

    // The sanitizers watch blocks of their very size: the cache is off.
    const isCached = process.env['DAG_CUDA_NO_CACHE'] === undefined;
    const name = 'gives unused memory of other sizes back where it runs out while it records';
    (isCached ? it : it.skip)(isCached ? name : `${name} (skipped: DAG_CUDA_NO_CACHE is set)`, () => {
      let scale = 0;
      const step = recordStep(({ x }: Record<'x', Tensor>) => {
        scale++;
        return affine(x, 2);
      });
      const x = ones([1 << 16], { device });
      step({ x });
      scope(() => zeros([1 << 18], { device }));
      // What is free of the size of x is taken, so that the recording asks the driver.
      const taken = Array.from({ length: 4 }, () => zeros([1 << 16], { device }));
      fail('cuMemAlloc_v2:2');
      expect(step({ x }).dataSync()[0]).toBe(2);
      expect(scale).toBe(3);
      expect(taken).toHaveLength(4);
      step.release();
    });

    it('keeps a bounded number of recordings', () => {
      const before = counts().graphs;
      const step = recordStep(({ x }: Record<'x', Tensor>) => sum(square(x)));
      for (let n = 1; n <= 70; n++)
        for (let i = 0; i < 3; i++) expect(step({ x: ones([n], { device }) }).item()).toBe(n);
      expect(counts().graphs - before).toBe(64);
      step.release();
      expect(counts().graphs).toBe(before);
    });

    it('says what is wrong where memory runs out or the driver fails as it records, and goes on', () => {
      const graphs = counts().graphs;
      const table = [
        ['cuMemAlloc_v2:2', 'memory', /out of memory: /],
        [
          'cuStreamBeginCapture_v2:900',
          'device',
          /cuStreamBeginCapture_v2 failed: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED/,
        ],
        ['cuLaunchKernel:1', 'device', /the kernel unary_f32 failed/],
        [
          'cuStreamEndCapture:901',
          'device',
          /cuStreamEndCapture failed: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED/,
        ],
        ['cuGraphInstantiateWithFlags:2', 'device', /cuGraphInstantiateWithFlags failed/],
        ['cuGraphLaunch:1', 'device', /a recorded step failed/],
      ] as const;
      table.forEach(([fault, code, message], n) => {
        let more = false;
        // Of a size of its own: no block that is kept serves it, as it is twice as large as in the first call.
        const step = recordStep(({ x }: Record<'x', Tensor>) => {
          const y = square(x);
          if (more) {
            // Each time that it is recorded.
            fail(fault);
            scope(() => zeros([100_000 * (n + 1)], { device }).size);
          }
          return sum(y);
        });
        const x = values([1, 2]);
        expect(step({ x }).item()).toBe(5);
        more = code === 'memory';
        if (!more) fail(fault);
        expect(() => step({ x })).toThrow(
          expect.objectContaining({ name: 'ExecutorError', code, message: expect.stringMatching(message) }),
        );
        fail('');
        more = false;
        for (let i = 0; i < 3; i++) expect(step({ x }).item()).toBe(5);
        step.release();
      });
      expect(counts().graphs).toBe(graphs);
    });
  },
);
