export { type Calibration } from './calibration.js';
export {
  DagGpt,
  type DagGptConfig,
  type DagGptInputs,
  type DagGptOutput,
  type ExpressionInputs,
  type ExpressionRows,
  type NextTokens,
  type TextInputs,
} from './dag-gpt.js';
export { ModelError, type ModelErrorCode } from './error.js';
export { type FetchOptions } from './fetch-weights.js';
export { expressionOf } from './expression-of.js';
export {
  Gpt,
  ParameterBuilder,
  type ForwardOptions,
  type GptConfig,
  type ModelOptions,
  type ParameterCheck,
  type Parameters,
} from './gpt.js';
export { type Calculation, type Computed, type Generated, type GenerateTextOptions } from './generate.js';
export { GPT2_NAMES, isGpt2Name, type Gpt2Name } from './gpt2/names.js';
export { commasOf, PLACE_CLASSES, placesOf, writeValue, type ValueForm } from './value-form.js';
export { DECISIONS, decisionOf, NESTING, THEN } from './reading/decisions.js';
export { KeyValueCache, type BlockCache } from './key-value-cache.js';
export { type RegisterLayout } from './plan-predictor/layout.js';
export { type ArrayOps, type ReadoutOps } from './plan-predictor/array-ops.js';
export { FAULTS } from './plan-predictor/decided-plan.js';
export { decisionsReadout, type DecisionFields } from './plan-predictor/decisions-readout.js';
export { type HardPlan } from './plan-predictor/hard-plan.js';
export { decidedPrefixes, decidedTensors, type Decided } from './plan-predictor/decisions-readout.js';
export { linearReadout, type LinearFields } from './plan-predictor/linear-readout.js';
export { PlanPredictor, type PlanPredictorConfig } from './plan-predictor/plan-predictor.js';
export {
  type Fields,
  type Prediction,
  type Readout,
  type ReadoutLoss,
  TARGET_NAMES,
  type TargetName,
  type Targets,
} from './plan-predictor/readout.js';
export { type HardPlanOptions, type ReadOptions } from './plan-predictor/read-options.js';
export { addReadout, DEFAULT_READOUT, readoutNames, readoutOf } from './plan-predictor/readouts.js';
export { binaryNll, meanOver } from './plan-predictor/losses.js';
export { tokenFeatures, type TokenFeatures } from './plan-predictor/token-features.js';
export { predictionAt } from './plan-predictor/prediction-at.js';
export { type PrefixPrediction, type PrefixPredictions, type TokenDecision } from './prefixes.js';
export { type PredictedPlans, type PredictedValue } from './predicted-value.js';
export { smallestPlan } from './refusal.js';
export {
  PredictorModel,
  type PredictOptions,
  type PredictorConfig,
  type PredictorInputs,
} from './predictor-model.js';
export { decodeSafetensors, encodeSafetensors, safetensorsPieces } from './safetensors/format.js';
export {
  toFloat16,
  toFloat32,
  type FileBytes,
  type SafeDtype,
  type Safetensors,
  type SafeTensor,
} from './safetensors/tensor.js';
export { tokenizer, type Tokenizer, type TokenizerName, type TokenRecord } from './tokenizer/tokenizer.js';
export { type TokenTable } from './tokenizer/vocabulary.js';
export { type SaveOptions } from './weights.js';
