export {
  findCheckpoint,
  newestRun,
  readCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
  type Checkpoint,
  type WriteOptions,
} from './checkpoints/checkpoint.js';
export { loadConfig } from './config/load.js';
export { defineConfig, parseConfig, type TrainConfig, type TrainConfigInput } from './config/config.js';
export { type Expressions } from './config/expressions.js';
export { type LanguageTrainConfig, type LanguageTrainInput } from './config/language.js';
export { type LossWeights } from './config/losses.js';
export { type PredictorTrainConfig, type PredictorTrainInput } from './config/predictor.js';
export {
  batchOf,
  streamText,
  trainedTexts,
  trainingBatch,
  type Batch,
  type Example,
  type PrefixBatch,
  type Split,
  type StreamConfig,
  type StreamData,
  type TextBatch,
} from './predictor/stream.js';
export { type DecisionTargets } from './predictor/prefix-targets.js';
export { Prefetcher, type PrefetcherOptions } from './workers/pool.js';
export { TrainError, type TrainErrorCode } from './error.js';
export {
  answer,
  answerAll,
  interval,
  prefixScore,
  summarize,
  type Answer,
  type FieldsRight,
  type Interval,
  type PlanReader,
  type PrefixReader,
  type PrefixScore,
  type Score,
  type Scores,
  type Summary,
} from './evaluation/evaluate.js';
export {
  languageBatch,
  trainedLines,
  type LanguageBatch,
  type LanguageData,
  type LanguageStreamConfig,
  type WorkedExpressions,
} from './language/language-stream.js';
export {
  evaluateLanguageModel,
  languageModelConfig,
  languageTask,
  languageStreamConfig,
  loadLanguageModel,
  trainLanguageModel,
  type LanguageSummary,
} from './language/language-task.js';
export { answerPrompts } from './language/answer-prompts.js';
export { readAnnotated, type AnnotatedText, type TextCalculation } from './language/annotated-text.js';
export {
  calculationScores,
  type CalculationFailure,
  type CalculationScores,
  type Counted,
} from './language/calculation-scores.js';
export {
  prepareText,
  type PreparedResults,
  type PrepareOptions,
  type PreparedText,
} from './language/prepare.js';
export { TokenFile } from './language/token-file.js';
export { workedPrompts, type WorkedLine, type WorkedPrompt } from './language/worked-line.js';
export {
  computeLosses,
  learnFrom,
  weigh,
  type LossFunctions,
  type Losses,
  type LossTokens,
  type LossValues,
  type PlanSource,
} from './predictor/losses.js';
export { type LanguageTokens } from './language/language-losses.js';
export { openCommunicator, type Communicator } from './mpi/communicator.js';
export { AdamW, learningRate } from './run/optimizer.js';
export {
  reliability,
  type Reliability,
  type ReliabilityBin,
  type RiskAtCoverage,
} from './evaluation/reliability.js';
export { isotonicCalibration } from './evaluation/isotonic.js';
export { calibrate, type CalibrateOptions } from './predictor/calibrate.js';
export { evaluateModel, modelConfig, streamConfig } from './predictor/objective.js';
export { loadModel, predictorTask, train } from './predictor/predictor-task.js';
export { pretrainedCheckpoint, SHIPPED, type ShippedName } from './checkpoints/pretrained.js';
export { loadPretrained, type ShippedModels } from './load-pretrained.js';
export {
  heldOutQuestions,
  longerNumbers,
  moreOperations,
  question,
  type HeldOutQuestion,
  type Question,
} from './evaluation/questions.js';
export {
  bySeen,
  seenInTraining,
  type SeenInTraining,
  type TrainedText,
} from './evaluation/seen-in-training.js';
export { formatScores, formatSummary } from './evaluation/table.js';
export { runReport, type ReportOptions } from './reports/run-report.js';
export { checkpointConfig } from './checkpoints/state.js';
export { type Evaluation, type Objective, type StepOfTask, type Task, type Trainable } from './run/task.js';
export { trainTask, type TrainOptions, type TrainResult } from './run/loop.js';
export { type TaskConfigInput } from './config/task.js';
export { type ProblemsTrainConfig, type ProblemsTrainInput } from './config/word-problems.js';
export { generateProblem, type Problem } from './problems/generator.js';
export { readProblems, type KnownProblem } from './problems/problem-data.js';
export { type ProblemBatch } from './problems/problem-stream.js';
export {
  solveAll,
  summarizeProblems,
  type AskedProblem,
  type ProblemSummary,
  type Share,
  type SolvedKnown,
} from './problems/problem-scores.js';
export { loadProblemModel, problemsTask, trainProblems } from './problems/problems-task.js';
