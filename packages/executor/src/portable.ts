export { type Device, type DType, type HostArray } from './backend.js';
export {
  arange,
  eye,
  full,
  linspace,
  ones,
  rand,
  randn,
  tensor,
  zeros,
  type TensorOptions,
} from './create.js';
export {
  execute,
  executeWithGradients,
  type DagGradients,
  type ExecuteGradientOptions,
  type ExecuteOptions,
} from './dag/execute.js';
export { matmulPrecision, setMatmulPrecision, type MatmulPrecision } from './precision.js';
export { backendInfo, setDefaultDevice, setNumThreads, type BackendInfo } from './devices.js';
export { type Activation } from './elementwise.js';
export { ExecutorError, type ExecutorErrorCode } from './error.js';
export { type DagTensors } from '@dag/tensorize';
export { gradCheck, type GradCheckOptions, type GradCheckResult } from './grad-check.js';
export { emptyPool, memoryStats } from './memory.js';
export {
  causalAttention,
  scaledDotProductAttention,
  type AttentionOptions,
  type ScaledDotProductAttentionOptions,
} from './ops/attention.js';
export { executeDag, type DagTensorFields } from './ops/dag.js';
export * from './ops/conditions.js';
export * from './ops/elementwise.js';
export { argmax, argmin, max, min } from './ops/extremes.js';
export { embedding, gather, type EmbeddingOptions } from './ops/indexing.js';
export { crossEntropy } from './ops/loss.js';
export { linear, type LinearOptions } from './ops/linear.js';
export { matmul } from './ops/matmul.js';
export { layerNorm, logSoftmax, softmax, type LayerNormOptions } from './ops/normalization.js';
export {
  adamW,
  adamWAll,
  clipGradNorm,
  type AdamWOptions,
  type ParameterWithMoments,
} from './ops/optimizer.js';
export { type SeedOption } from './ops/scalar.js';
export {
  AdamW,
  SGD,
  type AdamWObjectOptions,
  type OptimizerState,
  type SGDOptions,
  type TensorJson,
} from './optimizers.js';
export { cumprod, cumsum, mean, sum } from './ops/reduce.js';
export {
  cat,
  expand,
  narrow,
  permute,
  reshape,
  select,
  slice,
  split,
  squeeze,
  stack,
  transpose,
  unsqueeze,
} from './ops/shape.js';
export { type Shape } from './shape.js';
export { type NestedNumbers } from './values.js';
export { recordStep, type RecordedStep } from './step.js';
export { noGrad, scope, Tensor } from './tensor.js';
