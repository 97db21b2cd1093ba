import type { Backend, LinearSpec, MatmulSpec } from '../../backend.js';
import { dataOf, seedOf } from '../host.js';
import { activationKind } from '../kinds.js';
import { reference } from '../reference/index.js';
import type { KernelLibrary } from './kernels.js';

/** Matrix products, linear layers and attention. The last two have kernels for f32, in which models train; f64 runs on `reference`. */
export function products(
  library: KernelLibrary,
): Pick<Backend, 'matmul' | 'linear' | 'linearBackward' | 'attention' | 'attentionBackward'> {
  const matmul = {
    f32: library.scratchKernel('matmul_f32', 'iiiiiiiiipppi'),
    f64: library.scratchKernel('matmul_f64', 'iiiiiiiiipppi'),
  };
  const linear = library.scratchKernel('linear_f32', 'iiipppidddppp');
  const linearBackward = library.scratchKernel('linear_backward_f32', 'iippidddppi');
  const attention = library.scratchKernel('attention_f32', 'iiiidddppp');
  const attentionBackward = library.scratchKernel('attention_backward_f32', 'iiiidddpppppi');
  return {
    matmul: (spec: MatmulSpec, a, b, c) => {
      const { batch, m, n, k, transposeA, transposeB, strideA, strideB, strideC } = spec;
      const [data, accumulate] = [dataOf(c.storage), c.accumulate];
      const kernel = data instanceof Float64Array ? matmul.f64 : matmul.f32;
      kernel(
        batch,
        m,
        n,
        k,
        Number(transposeA),
        Number(transposeB),
        strideA,
        strideB,
        strideC,
        dataOf(a),
        dataOf(b),
        data,
        Number(accumulate),
      );
    },
    linear: (spec: LinearSpec, x, weight, bias, residual, y, preactivation) => {
      const data = dataOf(y);
      if (data instanceof Float64Array)
        return reference.linear(spec, x, weight, bias, residual, y, preactivation);
      linear(
        spec.m,
        spec.n,
        spec.k,
        dataOf(x),
        dataOf(weight),
        bias && dataOf(bias),
        activationKind(spec.activation),
        spec.dropout,
        ...seedOf(spec.seed),
        residual && dataOf(residual),
        data,
        preactivation && dataOf(preactivation),
      );
    },
    linearBackward: (spec, gradY, preactivation, gradSum, gradBias) => {
      const data = dataOf(gradY);
      if (data instanceof Float64Array)
        return reference.linearBackward(spec, gradY, preactivation, gradSum, gradBias);
      linearBackward(
        spec.m,
        spec.n,
        data,
        preactivation && dataOf(preactivation),
        activationKind(spec.activation),
        spec.dropout,
        ...seedOf(spec.seed),
        gradSum && dataOf(gradSum),
        gradBias && dataOf(gradBias.storage),
        Number(gradBias?.accumulate ?? false),
      );
    },
    attention: (spec, qkv, y, logSums) => {
      const data = dataOf(y);
      if (data instanceof Float64Array) return reference.attention(spec, qkv, y, logSums);
      const { batch, time, channels, heads, dropout, seed } = spec;
      attention(batch, time, channels, heads, dropout, ...seedOf(seed), dataOf(qkv), data, dataOf(logSums));
    },
    attentionBackward: (spec, qkv, y, logSums, gradY, gradQkv) => {
      const data = dataOf(gradY);
      if (data instanceof Float64Array)
        return reference.attentionBackward(spec, qkv, y, logSums, gradY, gradQkv);
      const { batch, time, channels, heads, dropout, seed } = spec;
      attentionBackward(
        batch,
        time,
        channels,
        heads,
        dropout,
        ...seedOf(seed),
        dataOf(qkv),
        dataOf(y),
        dataOf(logSums),
        data,
        dataOf(gradQkv.storage),
        Number(gradQkv.accumulate),
      );
    },
  };
}
