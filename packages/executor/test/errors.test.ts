import { describe, expect, it } from '@jest/globals';
import {
  adamW,
  add,
  cat,
  causalAttention,
  clamp,
  clipGradNorm,
  crossEntropy,
  cumsum,
  div,
  dropout,
  embedding,
  executeDag,
  exp,
  expand,
  full,
  gather,
  layerNorm,
  linear,
  logSoftmax,
  matmul,
  maximum,
  mul,
  narrow,
  ones,
  permute,
  randn,
  reshape,
  select,
  softmax,
  stack,
  sub,
  sum,
  tensor,
  Tensor,
  zeros,
  type Device,
  type ExecutorErrorCode,
} from '../src/index.js';
import { Buffer } from '../src/memory.js';

const x = (...shape: number[]) => ones(shape);
const f64 = (...shape: number[]) => ones(shape, { dtype: 'f64' });
const ids = (values: number[], shape = [values.length]) => tensor(Int32Array.from(values), shape);

/** The same tensor on a device that is not there: ops look at the device before they touch the memory. */
function elsewhere(t: Tensor): Tensor {
  return new Tensor(new Buffer({ ...t.backend, device: 'cuda' }, 0, t.storage, null), t.shape, t.dtype);
}

const spec = { lr: 1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0, step: 1 };
const dag = (mag: number[], sign: number[], O: number[], G: number[]) => () =>
  executeDag({ V_mag: x(...mag), V_sign: x(...sign), O: x(...O), G: x(...G) });

type Case = readonly [wrong: string, run: () => unknown, message: RegExp];

function refuses(code: ExecutorErrorCode, cases: readonly Case[]): void {
  it.each(cases)('%s', (_, run, message) => {
    expect(run).toThrow(
      expect.objectContaining({ name: 'ExecutorError', code, message: expect.stringMatching(message) }),
    );
  });
}

describe('a shape error names the op and the shapes:', () => {
  refuses('shape', [
    ['too few values', () => tensor([1, 2], [3]), /^tensor: 2 values for the shape \(3\), which has 3/],
    ['a negative size', () => zeros([2, -1]), /^tensor: .*\(2, -1\)/],
    ['a broken size', () => randn([1.5], { seed: [0, 0] }), /\(1\.5\)/],
    [
      'set with too many values',
      () => {
        x(2).set([1, 2, 3]);
      },
      /^set: 3 values .* \(2\)/,
    ],
    ['item of two elements', () => x(2).item(), /^item: .*\(2\)/],
    ['shapes that do not broadcast', () => add(x(2, 3), x(2)), /^add: shapes \(2, 3\) and \(2\)/],
    ['sub', () => sub(x(2), x(3)), /^sub: shapes \(2\) and \(3\)/],
    ['mul', () => mul(x(0), x(3)), /^mul: shapes \(0\) and \(3\)/],
    ['div', () => div(x(4, 1, 2), x(3, 3)), /^div: shapes \(4, 1, 2\) and \(3, 3\)/],
    ['maximum', () => maximum(x(2), x(3)), /^maximum: shapes \(2\) and \(3\)/],
    [
      'a weight the wrong way round',
      () => linear(x(2, 3), x(3, 4)),
      /\(3, 4\) do not fit; expected .*\(out, in\)/,
    ],
    ['matrices that do not fit', () => matmul(x(2, 3), x(2, 3)), /^matmul: shapes \(2, 3\) and \(2, 3\)/],
    [
      'batches that differ',
      () => matmul(x(2, 3, 3), x(4, 3, 3)),
      /^matmul: shapes \(2, 3, 3\) and \(4, 3, 3\)/,
    ],
    ['matmul of a vector', () => matmul(x(3), x(3, 2)), /^matmul: shapes \(3\) and \(3, 2\)/],
    ['linear', () => linear(x(2, 3), x(3, 2)), /^linear: x \(2, 3\) and weight \(3, 2\)/],
    ['linear with a weight of three dimensions', () => linear(x(2, 3), x(1, 3, 3)), /^linear: .*\(1, 3, 3\)/],
    [
      'a bias of another length',
      () => linear(x(2, 3), x(4, 3), x(3)),
      /^linear: weight \(4, 3\) and bias \(3\)/,
    ],
    [
      'a bias that would broadcast',
      () => linear(x(2, 3), x(4, 3), x(2, 4)),
      /^linear: .*\(4, 3\) and bias \(2, 4\)/,
    ],
    ['layerNorm', () => layerNorm(x(2, 3), x(2)), /^layerNorm: x \(2, 3\) and parameter \(2\)/],
    ['layerNorm with a wrong bias', () => layerNorm(x(2, 3), x(3), x(2)), /^layerNorm: .*\(2, 3\).*\(2\)/],
    ['softmax of a scalar', () => softmax(x()), /^softmax: .*\(\)/],
    ['logSoftmax of nothing', () => logSoftmax(x(2, 0)), /^logSoftmax: .*\(2, 0\)/],
    ['gather', () => gather(x(2, 3), ids([0, 1, 2])), /^gather: index \(3\) .* \(2, 3\)/],
    ['embedding', () => embedding(x(3), ids([0])), /^embedding: .*\(3\)/],
    ['crossEntropy', () => crossEntropy(x(2, 3), ids([0, 1, 2])), /^crossEntropy: targets \(3\) .* \(2, 3\)/],
    [
      'crossEntropy of a scalar',
      () => crossEntropy(x(), ids([], [0])),
      /^crossEntropy: targets \(0\) .* \(\)/,
    ],
    [
      'causalAttention',
      () => causalAttention(x(1, 2, 9), { heads: 2 }),
      /^causalAttention: .*2 heads.*\(1, 2, 9\)/,
    ],
    [
      'causalAttention of a matrix',
      () => causalAttention(x(2, 6), { heads: 1 }),
      /^causalAttention: .*\(2, 6\)/,
    ],
    ['sum over a dimension that is not there', () => sum(x(2, 3), 2), /^sum: dimension 2 .* 2 dimensions/],
    ['cumsum of a scalar', () => cumsum(x(), 0), /^cumsum: dimension 0 .* 0 dimensions/],
    ['reshape', () => reshape(x(2, 3), [4]), /^reshape: \(2, 3\) has 6 elements, \(4\)/],
    [
      'reshape with a size that does not divide',
      () => reshape(x(2, 3), [4, -1]),
      /^reshape: \(2, 3\) to \(4, -1\)/,
    ],
    ['narrow beyond the end', () => narrow(x(2, 3), 1, 2, 2), /^narrow: 2 from 2 of dimension 1 of \(2, 3\)/],
    ['narrow from before the first', () => narrow(x(2, 3), 1, -4, 1), /^narrow: 1 from -4/],
    ['narrow from the end beyond it', () => narrow(x(2, 3), 1, -1, 2), /^narrow: 2 from -1/],
    ['select before the first', () => select(x(2, 3), 0, -3), /^select: index -3 of dimension 0 of \(2, 3\)/],
    ['select beyond the end', () => select(x(2, 3), 0, 2), /^select: index 2 of dimension 0 of \(2, 3\)/],
    ['cat', () => cat([x(2, 3), x(3, 2)], 0), /^cat: shapes \(2, 3\) and \(3, 2\)/],
    ['cat of nothing', () => cat([], 0), /^cat: /],
    ['stack', () => stack([x(2), x(3)], 0), /^stack: shapes \(2\) and \(3\)/],
    ['stack of nothing', () => stack([], 0), /^stack: /],
    ['expand', () => expand(x(2, 3), [2, 2]), /^expand: .*\(2, 3\).*\(2, 2\)/],
    ['expand to fewer dimensions', () => expand(x(1, 3), [3]), /^expand: \(1, 3\) .* \(3\)/],
    ['permute with too few dimensions', () => permute(x(2, 3), [1]), /^permute: order \(1\) .* \(2, 3\)/],
    [
      'permute with one dimension twice',
      () => permute(x(2, 3), [0, -2]),
      /^permute: order \(0, -2\) .* \(2, 3\)/,
    ],
    [
      'adamW',
      () => {
        adamW(x(2), x(3), x(2), spec);
      },
      /^adamW: parameter \(2\), moments \(3\) and \(2\)/,
    ],
    [
      'executeDag with an odd number of nodes',
      dag([2, 3], [2, 3], [2, 1, 3], [2, 1]),
      /^executeDag: V_mag \(2, 3\)/,
    ],
    ['executeDag with other signs', dag([2, 4], [4], [2, 2, 4], [2, 2]), /V_sign \(4\)/],
    ['executeDag with other coefficients', dag([2, 4], [2, 4], [2, 4, 2], [2, 2]), /O \(2, 4, 2\)/],
    ['executeDag with a shared O but not G', dag([2, 4], [2, 4], [2, 4], [2, 2]), /O \(2, 4\), G \(2, 2\)/],
    ['executeDag of scalars', dag([], [], [], []), /^executeDag: V_mag \(\)/],
  ]);
});

describe('a dtype error names the op and the dtypes:', () => {
  refuses('dtype', [
    ['two dtypes', () => add(x(2), f64(3)), /^add: dtypes f32 \(2\) and f64 \(3\)/],
    ['arithmetic on integers', () => exp(ids([1])), /^exp: .*i32 \(1\)/],
    ['clamp of integers', () => clamp(ids([1]), 0), /^clamp: .*i32/],
    ['matmul', () => matmul(x(2, 2), f64(2, 2)), /^matmul: dtypes f32 \(2, 2\) and f64 \(2, 2\)/],
    ['linear', () => linear(x(2, 2), f64(2, 2)), /^linear: dtypes f32/],
    [
      'the bias of linear',
      () => linear(x(2, 2), x(2, 2), f64(2)),
      /^linear: dtypes f32 \(2, 2\) and f64 \(2\)/,
    ],
    ['layerNorm', () => layerNorm(x(2, 2), x(2), f64(2)), /^layerNorm: dtypes f32 \(2, 2\) and f64 \(2\)/],
    ['softmax of integers', () => softmax(ids([1])), /^softmax: .*i32/],
    ['dropout of integers', () => dropout(ids([1]), 0.5, [0, 0]), /^dropout: .*i32/],
    ['sum of integers', () => sum(ids([1])), /^sum: .*i32/],
    ['cumsum of integers', () => cumsum(ids([1]), 0), /^cumsum: .*i32/],
    ['cat', () => cat([x(2), ids([1])], 0), /^cat: dtypes f32 and i32/],
    ['gather by floats', () => gather(x(2, 3), x(2)), /^gather: indices are i32, given f32 \(2\)/],
    ['embedding by floats', () => embedding(x(2, 3), x(2)), /^embedding: indices are i32, given f32 \(2\)/],
    [
      'crossEntropy against floats',
      () => crossEntropy(x(2, 3), x(2)),
      /^crossEntropy: targets are i32, given f32/,
    ],
    [
      'causalAttention of integers',
      () => causalAttention(ids([1, 2, 3], [1, 1, 3]), { heads: 1 }),
      /^causalAttention: /,
    ],
    [
      'adamW',
      () => {
        adamW(x(2), x(2), f64(2), spec);
      },
      /^adamW: dtypes f32 \(2\) and f64 \(2\)/,
    ],
    [
      'a seed in a tensor',
      () => dropout(x(2), 0.5, [x(), 0]),
      /^dropout: the seed is a number or a tensor of one f64, given f32 \(\)/,
    ],
    [
      'a seed in a tensor of two',
      () => linear(x(2, 2), x(2, 2), null, { dropout: 0.5, seed: [f64(2), 0] }),
      /^linear: the seed is a number or a tensor of one f64, given f64 \(2\)/,
    ],
    [
      'executeDag',
      () => executeDag({ V_mag: x(2), V_sign: x(2), O: x(1, 2), G: f64(1) }),
      /^executeDag: dtypes f32 \(2\) and f64 \(1\)/,
    ],
  ]);
});

describe('a device error names the op and both devices:', () => {
  const here = x(2, 2);
  const there = elsewhere(here);
  const both = new RegExp(`'${here.device}' and 'cuda'`);
  refuses('device', [
    ['add', () => add(here, there), both],
    ['matmul', () => matmul(here, there), both],
    [
      'a seed in a tensor',
      () => dropout(here, 0.5, [elsewhere(f64()), 0]),
      /^dropout: tensors on '.*', the seed on 'cuda'/,
    ],
    ['linear', () => linear(here, there), both],
    ['the bias of linear', () => linear(here, here, elsewhere(x(2))), both],
    ['layerNorm', () => layerNorm(here, elsewhere(x(2))), both],
    ['cat', () => cat([here, there], 0), both],
    ['stack', () => stack([here, there], 0), both],
    ['gather', () => gather(here, elsewhere(ids([0, 1]))), both],
    ['embedding', () => embedding(here, elsewhere(ids([0, 1]))), both],
    ['crossEntropy', () => crossEntropy(here, elsewhere(ids([0, 1]))), /^crossEntropy: /],
    [
      'adamW',
      () => {
        adamW(here, here, there, spec);
      },
      /^adamW: /,
    ],
    [
      'clipGradNorm',
      () => {
        const parameters = [here.detach(), there.detach()];
        for (const p of parameters)
          p.grad = new Tensor(new Buffer(p.backend, 0, p.storage, null), p.shape, 'f32');
        return clipGradNorm(parameters, 1);
      },
      /^clipGradNorm: /,
    ],
    [
      'executeDag',
      () => executeDag({ V_mag: x(2), V_sign: x(2), O: x(1, 2), G: elsewhere(x(1)) }),
      /^executeDag: /,
    ],
    [
      'a device that does not exist',
      () => zeros([1], { device: 'abacus' as Device }),
      /'abacus'.*available: .*'reference'/,
    ],
  ]);
});

describe('a value outside its range is refused:', () => {
  refuses('value', [
    ['an index beyond the row', () => gather(x(2, 3), ids([0, 3])), /^gather: index 3 is not in -1 … 2/],
    ['an index below −1', () => gather(x(2, 3), ids([0, -2])), /^gather: index -2/],
    [
      'a row that is not in the table',
      () => embedding(x(2, 3), ids([2])),
      /^embedding: index 2 is not in 0 … 1/,
    ],
    ['a negative row', () => embedding(x(2, 3), ids([-1])), /^embedding: index -1/],
    ['a target beyond the classes', () => crossEntropy(x(2, 3), ids([0, 3])), /index 3/],
    [
      'targets that are all left out',
      () => crossEntropy(x(2, 3), ids([-1, -1])),
      /^crossEntropy: no target in \(2\)/,
    ],
    [
      'a layer that drops without a seed, the same elements each time',
      () => linear(x(2, 2), x(2, 2), null, { dropout: 0.5 }),
      /^linear: dropout needs a seed, another one for each step/,
    ],
    [
      'attention that drops without a seed',
      () => causalAttention(x(1, 2, 6), { heads: 1, dropout: 0.5 }),
      /^causalAttention: dropout needs a seed/,
    ],
    ['dropout of everything', () => dropout(x(2), 1, [0, 0]), /^dropout: p is in \[0, 1\), given 1/],
    ['dropout with NaN', () => dropout(x(2), NaN, [0, 0]), /^dropout: .*NaN/],
    [
      'attention without heads',
      () => causalAttention(x(1, 1, 3), { heads: 0 }),
      /^causalAttention: heads .* given 0/,
    ],
    ['a negative number of heads', () => causalAttention(x(1, 1, 6), { heads: -2 }), /given -2/],
    ['a broken number of heads', () => causalAttention(x(1, 1, 9), { heads: 1.5 }), /given 1\.5/],
    [
      'dropout of all attention',
      () => causalAttention(x(1, 1, 3), { heads: 1, dropout: 1 }),
      /^causalAttention: dropout .* 1/,
    ],
    [
      'a log limit of 0',
      () => executeDag({ V_mag: x(2), V_sign: x(2), O: x(1, 2), G: x(1) }, { maxLog: 0 }),
      /^executeDag: maxLog .* given 0/,
    ],
  ]);
});

it('clipGradNorm of parameters without gradients is an error', () => {
  expect(() => clipGradNorm([full([2], 3)], 1)).toThrow(
    expect.objectContaining({
      code: 'autograd',
      message: expect.stringMatching(/^clipGradNorm: .*backward/),
    }),
  );
});
