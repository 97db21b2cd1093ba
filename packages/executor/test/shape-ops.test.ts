/** Slices, new tensors, numbers as operands, and how tensors are shown; what NumPy and PyTorch give is written out. */
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  add,
  arange,
  cat,
  div,
  eye,
  greaterEqual,
  linspace,
  maximum,
  mul,
  noGrad,
  ones,
  rand,
  recordStep,
  reshape,
  scope,
  slice,
  split,
  square,
  squeeze,
  stack,
  sub,
  sum,
  tensor,
  transpose,
  unsqueeze,
  zeros,
  type Tensor,
} from '../src/index.js';
import { codeOf } from './code-of.js';
import { devices } from './devices.js';

describe.each(devices)('on %s', (device) => {
  const matrix = (rows: number, columns: number): Tensor =>
    reshape(arange(0, rows * columns, 1, { device }), [rows, columns]);
  const nested = (t: Tensor): unknown => t.toJSON().values;

  describe('slice', () => {
    it('takes what the same slice of an array is, in either direction', () => {
      const index = fc.option(fc.integer({ min: -9, max: 9 }), { nil: undefined });
      const step = fc.integer({ min: -4, max: 4 }).filter((n) => n !== 0);
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 6 }), index, index, step, (n, start, end, step) => {
          const x = matrix(n, 3);
          // As the reference of Python says of s[i:j:k].
          const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
          const place = (i: number) => Math.min(Math.max(i < 0 ? i + n : i, low), high);
          const from = start === undefined ? (step > 0 ? 0 : n - 1) : place(start);
          const to = end === undefined ? (step > 0 ? n : -1) : place(end);
          const rows: number[][] = [];
          for (let i = from; step > 0 ? i < to : i > to; i += step) rows.push([3 * i, 3 * i + 1, 3 * i + 2]);
          const y = slice(x, 0, start, end, step);
          expect(y.shape).toEqual([rows.length, 3]);
          expect([...y.dataSync()]).toEqual(rows.flat());
        }),
        { numRuns: 60 },
      );
    });

    it.each([
      [
        0,
        -2,
        undefined,
        1,
        [
          [3, 4, 5],
          [6, 7, 8],
        ],
      ],
      [
        1,
        undefined,
        undefined,
        -1,
        [
          [2, 1, 0],
          [5, 4, 3],
          [8, 7, 6],
        ],
      ],
      [
        1,
        0,
        3,
        2,
        [
          [0, 2],
          [3, 5],
          [6, 8],
        ],
      ],
      [0, 100, undefined, 1, []],
    ])('of dimension %p from %p to %p by %p', (dim, start, end, step, expected) => {
      expect(nested(slice(matrix(3, 3), dim, start, end, step))).toEqual(expected);
    });

    it('passes the gradient to what it takes', () => {
      const x = reshape(arange(0, 12, 1, { device, requiresGrad: true }), [3, 4]);
      sum(square(slice(x, 1, undefined, undefined, -2))).backward();
      // dx of x² at columns 3 and 1.
      expect(nested(grad(x))).toEqual([
        [0, 2, 0, 6],
        [0, 10, 0, 14],
        [0, 18, 0, 22],
      ]);
    });

    it('refuses a step of 0, and what is not whole', () => {
      for (const [start, step] of [
        [0, 0],
        [0.5, 1],
        [0, NaN],
      ] as const)
        expect(codeOf(() => slice(matrix(2, 2), 0, start, undefined, step))).toBe('shape');
    });
  });

  it('split, transpose, squeeze and unsqueeze are as in PyTorch', () => {
    const x = matrix(2, 5);
    expect(split(x, 2, 1).map(nested)).toEqual([
      [
        [0, 1],
        [5, 6],
      ],
      [
        [2, 3],
        [7, 8],
      ],
      [[4], [9]],
    ]);
    expect(split(x, [1, 4], -1).map((t) => t.shape)).toEqual([
      [2, 1],
      [2, 4],
    ]);
    for (const sizes of [0, -1, 1.5, [2, 2], [6, -1]]) expect(codeOf(() => split(x, sizes, 1))).toBe('shape');
    expect(nested(transpose(matrix(2, 2)))).toEqual([
      [0, 2],
      [1, 3],
    ]);
    expect(transpose(ones([2, 3, 4], { device }), 0, 1).shape).toEqual([3, 2, 4]);
    expect(unsqueeze(x, 1).shape).toEqual([2, 1, 5]);
    expect(unsqueeze(x, -1).shape).toEqual([2, 5, 1]);
    expect(squeeze(ones([1, 2, 1], { device })).shape).toEqual([2]);
    expect(squeeze(ones([1, 2, 1], { device }), -1).shape).toEqual([1, 2]);
    expect(codeOf(() => squeeze(x, 0))).toBe('shape');
  });

  it('cat and stack take the first dimension where none is named', () => {
    const [a, b] = [tensor([1, 2], { device }), tensor([3, 4], { device })];
    expect(nested(cat([a, b]))).toEqual([1, 2, 3, 4]);
    expect(nested(stack([a, b]))).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('arange, linspace, eye and rand', () => {
    expect([...arange(0, 5, 2, { device }).dataSync()]).toEqual([0, 2, 4]);
    expect([...arange(3).dataSync()]).toEqual([0, 1, 2]);
    expect([...arange(1, -1, -0.5, { device, dtype: 'f64' }).dataSync()]).toEqual([1, 0.5, 0, -0.5]);
    expect([...arange(0, 3, 1, { device, dtype: 'i32' }).dataSync()]).toEqual([0, 1, 2]);
    expect(codeOf(() => arange(0, 5, -1))).toBe('value');
    expect(codeOf(() => arange(0, 5, 0))).not.toBe('none');
    const tenths = [...linspace(0, 1, 11, { device, dtype: 'f64' }).dataSync()];
    expect([tenths[0], tenths[5], tenths[10], tenths.length]).toEqual([0, 0.5, 1, 11]);
    expect([...linspace(3, 7, 1, { device }).dataSync()]).toEqual([3]);
    expect(nested(eye(2, 3, { device }))).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const uniform = rand([1000], { seed: [1, 2], device }).dataSync();
    expect(uniform).toEqual(rand([1000], { seed: [1, 2], device }).dataSync());
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    const mean = [...uniform].reduce((a, b) => a + b, 0) / 1000;
    // Of standard deviation 1/√12000, about 0.009: six of them.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.055);
  });

  it('a number may be an operand on either side', () => {
    const x = tensor([1, -2], [2], { device, requiresGrad: true });
    expect([...add(x, 2).dataSync()]).toEqual([3, 0]);
    expect([...sub(1, x).dataSync()]).toEqual([0, 3]);
    expect([...div(1, x).dataSync()]).toEqual([1, -0.5]);
    expect([...maximum(x, 0).dataSync()]).toEqual([1, 0]);
    expect([...greaterEqual(x, 0).dataSync()]).toEqual([1, 0]);
    sum(mul(0.5, x)).backward();
    expect([...x.grad!.dataSync()]).toEqual([0.5, 0.5]);
    const double = tensor([1], [1], { device, dtype: 'f64' });
    expect(add(double, 0.1).dataSync()[0]).toBe(1.1);
    expect(codeOf(() => add(1, 2))).toBe('value');
    expect(codeOf(() => add(tensor([1], [1], { device, dtype: 'i32' }), 1))).toBe('dtype');
  });

  it('assign overwrites in place, and refuses what a gradient would have to pass', () => {
    const x = tensor([1, 2], [2], { device, requiresGrad: true });
    const y = sum(square(x));
    expect(codeOf(() => x.assign(ones([2], { device })))).toBe('autograd');
    noGrad(() => x.assign(sub(x, mul(0.5, ones([2], { device })))));
    expect([...x.dataSync()]).toEqual([0.5, 1.5]);
    expect(codeOf(() => y.backward())).toBe('autograd');
    for (const wrong of [ones([3], { device }), ones([2], { device, dtype: 'f64' })])
      expect(codeOf(() => noGrad(() => x.assign(wrong)))).toMatch(/shape|dtype/);
  });

  it('shows shape, dtype, device and values', () => {
    const x = tensor(
      [
        [1, 2.5],
        [0.1, -4],
      ],
      undefined,
      { device },
    );
    const text = (indent: string) =>
      `tensor([[  1, 2.5],\n${indent}        [0.1,  -4]], (2, 2), f32, ${device})`;
    expect([String(x), inspect(x)]).toEqual([text(''), text('')]);
    expect(inspect({ x })).toBe(`{\n  x: ${text('  ')}\n}`);
    const matrices = String(reshape(arange(-1, 7, 1, { device }), [2, 2, 2]));
    expect(matrices).toBe(
      `tensor([[[-1,  0],\n         [ 1,  2]],\n\n        [[ 3,  4],\n         [ 5,  6]]], (2, 2, 2), f32, ${device})`,
    );
    const long = String(zeros([40], { device })).split('\n');
    expect(long).toEqual([
      `tensor([${'0, '.repeat(23)}0,`,
      `        ${'0, '.repeat(15)}0], (40), f32, ${device})`,
    ]);
    expect(JSON.parse(JSON.stringify(tensor([0.25, 1], [2, 1], { device })))).toEqual({
      dtype: 'f32',
      device,
      shape: [2, 1],
      values: [[0.25], [1]],
    });
    expect(String(sum(ones([3], { device })))).toBe(`tensor(3, (), f32, ${device})`);
    expect(String(tensor([-0, 0], [2], { device }))).toBe(`tensor([-0,  0], (2), f32, ${device})`);
    expect(String(arange(0, 2000, 1, { device, dtype: 'i32' }))).toBe(
      `tensor([   0,    1,    2, …, 1997, 1998, 1999], (2000), i32, ${device})`,
    );
    const none = zeros([2 ** 40, 0], { device });
    expect([String(none), none.toJSON().values]).toEqual([
      `tensor([], (1099511627776, 0), f32, ${device})`,
      [],
    ]);
    let inner: Tensor | undefined;
    scope(() => void (inner = ones([3], { device })));
    expect(String(inner)).toBe(`tensor(released, (3), f32, ${device})`);
    const step = recordStep(({ x }: { x: Tensor }) => {
      expect(String(x)).toBe(`tensor((2, 2), f32, ${device})`);
      return square(x);
    });
    step({ x });
    step.release();
  });

  function grad(x: Tensor): Tensor {
    return x.grad!;
  }
});
