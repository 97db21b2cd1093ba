import { describe, expect, it, test } from '@jest/globals';
import { clipGradNorm, mul, sum, tensor, type Tensor } from '@dag/executor';
import { parseConfig, type TrainConfig } from '../src/config/config.js';
import { AdamW, learningRate } from '../src/run/optimizer.js';

const settings = (input: Partial<TrainConfig['optimizer']> = {}): TrainConfig['optimizer'] =>
  parseConfig({ optimizer: input }).optimizer;

const make = (): Map<string, Tensor> =>
  new Map([
    ['matrix', tensor(Float32Array.of(1, -2, 3, -4), [2, 2], { requiresGrad: true })],
    ['bias', tensor(Float32Array.of(5, -6), [2], { requiresGrad: true })],
  ]);

/** Leaves `gradient(i)` as the gradient of element i of every parameter. */
function differentiate(parameters: ReadonlyMap<string, Tensor>, gradient: (i: number) => number): void {
  for (const p of parameters.values()) {
    p.zeroGrad();
    sum(
      mul(
        p,
        tensor(
          Float32Array.from({ length: p.size }, (_, i) => gradient(i)),
          p.shape,
        ),
      ),
    ).backward();
  }
}

const valuesOf = (parameters: ReadonlyMap<string, Tensor>): Record<string, number[]> =>
  Object.fromEntries([...parameters].map(([name, p]) => [name, Array.from(p.dataSync())]));

describe('AdamW', () => {
  it('decays matrices and nothing else', () => {
    const parameters = make();
    differentiate(parameters, () => 0);
    new AdamW(parameters, settings({ weightDecay: 0.5 })).update(0.1);
    const { matrix, bias } = valuesOf(parameters);
    [1, -2, 3, -4].forEach((w, i) => expect(matrix![i]).toBeCloseTo(w * (1 - 0.1 * 0.5), 6));
    expect(bias).toEqual([5, -6]);
  });

  it('moves each element by the learning rate against the sign of its gradient at the first step', () => {
    const parameters = make();
    differentiate(parameters, (i) => (i % 2 ? -3 : 1e-3));
    new AdamW(parameters, settings({ weightDecay: 0 })).update(0.1);
    const { matrix, bias } = valuesOf(parameters);
    [0.9, -1.9, 2.9, -3.9].forEach((w, i) => expect(matrix![i]).toBeCloseTo(w, 4));
    [4.9, -5.9].forEach((w, i) => expect(bias![i]).toBeCloseTo(w, 4));
  });

  it('goes on from its state as if it had never stopped, to the bit', () => {
    const run = (from: number, to: number, parameters: Map<string, Tensor>, optimizer: AdamW): void => {
      for (let step = from; step < to; step++) {
        differentiate(parameters, (i) => Math.sin(step * 7 + i));
        optimizer.update(0.01);
      }
    };
    const whole = make();
    const wholeOptimizer = new AdamW(whole, settings());
    run(0, 6, whole, wholeOptimizer);

    const first = make();
    const before = new AdamW(first, settings());
    run(0, 3, first, before);
    const second = make();
    for (const [name, p] of second) p.set(first.get(name)!.dataSync());
    const after = new AdamW(second, settings());
    after.restore(before.state(), before.step);
    run(3, 6, second, after);
    expect(valuesOf(second)).toEqual(valuesOf(whole));
    expect(after.state()).toEqual(wholeOptimizer.state());
    expect(after.step).toBe(6);
  });

  it('moves each parameter once, whatever parts it is in, and leaves those without a gradient', () => {
    const move = (...parts: ((all: Map<string, Tensor>) => Map<string, Tensor>)[]) => {
      const parameters = make();
      const optimizer = new AdamW(
        parameters,
        settings(),
        parts.map((part) => part(parameters)),
      );
      const { matrix, bias } = Object.fromEntries(parameters);
      differentiate(new Map([['matrix', matrix!]]), () => 1);
      const norm = optimizer.update(0.1).item();
      return { norm, ...valuesOf(parameters), moved: bias!.grad };
    };
    const whole = move((all) => all);
    expect(whole).toMatchObject({ norm: 2, bias: [5, -6], moved: null });
    expect(
      move(
        (all) => all,
        (all) => all,
      ),
    ).toEqual(whole);
    // The bias is in no part.
    expect(move((all) => new Map([...all].slice(0, 1)))).toEqual(whole);
    const parameters = make();
    expect(() => new AdamW(parameters, settings()).update(0.1)).toThrow('no parameter has a gradient');
  });

  it('clips each part of the parameters by itself, and tells the norm of all', () => {
    const move = (parts?: 'apart') => {
      const parameters = make();
      const [matrix, bias] = [...parameters].map((entry) => new Map([entry]));
      const optimizer = new AdamW(parameters, settings({ clip: 1e-3 }), parts && [matrix!, bias!]);
      differentiate(parameters, () => 1);
      const norm = optimizer.update(0.1).item();
      return { norm, m: optimizer.state() };
    };
    const [together, apart] = [move(), move('apart')];
    expect([together.norm, apart.norm]).toEqual([Math.sqrt(6), expect.closeTo(Math.sqrt(6), 12)]);
    const size = ({ m }: typeof apart, name: string): number =>
      Math.hypot(...(m.get(name)!.data as Float32Array)) / (0.1 * 1e-3);
    // (1 − β₁) of gradients of 4 and of 2 ones, at the norm `clip` each or both.
    expect([size(apart, 'm.matrix'), size(apart, 'm.bias')]).toEqual([
      expect.closeTo(1, 5),
      expect.closeTo(1, 5),
    ]);
    const shared = [Math.sqrt(4 / 6), Math.sqrt(2 / 6)];
    expect([size(together, 'm.matrix'), size(together, 'm.bias')]).toEqual(
      shared.map((part) => expect.closeTo(part, 5)),
    );
  });

  it('has a state that later steps do not change', () => {
    const parameters = make();
    const optimizer = new AdamW(parameters, settings());
    differentiate(parameters, () => 1);
    optimizer.update(0.1);
    const state = optimizer.state();
    const copy = structuredClone(state);
    optimizer.update(0.1);
    expect(state).toEqual(copy);
    expect([...state.keys()]).toEqual(['m.matrix', 'v.matrix', 'm.bias', 'v.bias']);
  });

  it('refuses a state that is not of these parameters, by the name of the moment', () => {
    const optimizer = new AdamW(make(), settings());
    const { size } = optimizer.state();
    const lacking = optimizer.state();
    lacking.delete('v.bias');
    expect(lacking.size).toBe(size - 1);
    expect(() => optimizer.restore(lacking, 1)).toThrow(
      expect.objectContaining({ code: 'bad-checkpoint', message: expect.stringContaining("'v.bias'") }),
    );
    const small = optimizer.state().set('m.matrix', { dtype: 'F32', shape: [1], data: new Float32Array(1) });
    expect(() => optimizer.restore(small, 1)).toThrow(expect.objectContaining({ code: 'bad-checkpoint' }));
  });
});

test('clipping scales all gradients together to the norm, and leaves smaller ones', () => {
  const parameters = make();
  differentiate(parameters, () => 3);
  // Six elements: the norm is 3·√6.
  expect(clipGradNorm(parameters.values(), 1).item()).toBeCloseTo(3 * Math.sqrt(6), 5);
  for (const p of parameters.values())
    for (const g of p.grad!.dataSync()) expect(g).toBeCloseTo(1 / Math.sqrt(6), 5);
  expect(clipGradNorm(parameters.values(), 2).item()).toBeCloseTo(1, 5);
  expect(parameters.get('bias')!.grad!.dataSync()[0]).toBeCloseTo(1 / Math.sqrt(6), 5);
});

describe('the learning rate', () => {
  const optimizer = settings({ lr: 0.2, minLrRatio: 0.1, warmupSteps: 10 });
  const at = (step: number): number => learningRate(step, 110, optimizer);

  it('rises in a line to lr', () => {
    expect(at(1)).toBeCloseTo(0.02, 12);
    expect(at(5)).toBeCloseTo(0.1, 12);
    expect(at(10)).toBeCloseTo(0.2, 12);
  });

  it('falls as a cosine to minLrRatio·lr at the last step', () => {
    expect(at(60)).toBeCloseTo((0.2 * 1.1) / 2, 12);
    expect(at(110)).toBeCloseTo(0.02, 12);
    for (let step = 11; step <= 110; step++) expect(at(step)).toBeLessThan(at(step - 1));
  });

  it('begins near lr where there is no warm-up', () => {
    const rate = (step: number): number => learningRate(step, 100, settings({ lr: 0.2, warmupSteps: 0 }));
    expect(rate(1)).toBeCloseTo(0.2, 3);
    expect(rate(100)).toBeCloseTo(0.2 * 0.05, 12);
  });

  it('only rises where the warm-up is longer than the run', () => {
    expect(learningRate(5, 5, settings({ lr: 0.2, warmupSteps: 10 }))).toBeCloseTo(0.1, 12);
  });
});
