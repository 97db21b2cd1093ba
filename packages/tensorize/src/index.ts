export { bind, type Values } from './bind.js';
export { checkTensors } from './check-tensors.js';
export {
  columnGradients,
  type ColumnGradients,
  type ColumnResults,
  type ExecuteWithGradients,
} from './column-gradients.js';
export { type DagTensors } from './dag-tensors.js';
export { describe } from './describe.js';
export { detensorize } from './detensorize.js';
export { TensorizeError, type TensorizeErrorCode } from './error.js';
export { isIdentity, readPlan, type Plan, type PlanStep, type Term } from './plan.js';
export { compile, type Domain, type Operand, type Program, type Step } from './program.js';
export { type Source } from './source.js';
export { tensorizeWithSymbols, type Template } from './template.js';
export { requiredDepth, tensorize, tensorizeAll, tensorizeInto } from './tensorize.js';
export { variableGradients } from './variable-gradients.js';
export { writeGraph } from './write-graph.js';
export { zeroDag } from './zero-dag.js';
