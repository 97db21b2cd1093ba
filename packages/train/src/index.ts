export {
  findCheckpoint,
  newestRun,
  readCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from './checkpoint.js';
export { loadConfig } from './config/load.js';
export { defineConfig, parseConfig, type TrainConfig, type TrainConfigInput } from './config/config.js';
export { type Expressions } from './config/expressions.js';
export { type LanguageTrainConfig } from './config/language.js';
export { type LossWeights } from './config/losses.js';
export { type PredictorTrainConfig } from './config/predictor.js';
export {
  batchOf,
  streamText,
  trainingBatch,
  type Batch,
  type Split,
  type StreamConfig,
} from './data/stream.js';
export { Prefetcher } from './data/pool.js';
export { TrainError, type TrainErrorCode } from './error.js';
export {
  answer,
  answerAll,
  interval,
  summarize,
  type Answer,
  type FieldsRight,
  type Interval,
  type PlanReader,
  type Score,
  type Summary,
} from './evaluate.js';
export {
  languageBatch,
  type LanguageBatch,
  type LanguageStreamConfig,
  type WorkedExpressions,
} from './language/language-stream.js';
export {
  evaluateLanguageModel,
  languageModelConfig,
  languageStreamConfig,
  loadLanguageModel,
  trainLanguageModel,
  type LanguageSummary,
} from './language/language-model.js';
export { answerPrompts } from './language/answer-prompts.js';
export { prepareText, type PrepareOptions, type PreparedText } from './language/prepare.js';
export { TokenFile } from './language/token-file.js';
export { workedPrompts, type WorkedPrompt } from './language/worked-line.js';
export { computeLosses, type Losses } from './losses.js';
export { openCommunicator, type Communicator } from './mpi/communicator.js';
export { AdamW, learningRate } from './optimizer.js';
export { evaluateModel, loadModel, loadPretrained, modelConfig, streamConfig, train } from './predictor.js';
export { pretrainedCheckpoint } from './pretrained.js';
export { heldOutQuestions, longerNumbers, moreOperations, question, type Question } from './questions.js';
export { formatScores, formatSummary } from './report.js';
export { runReport, type ReportOptions } from './report-page/run-report.js';
export { checkpointConfig } from './run.js';
export { type TrainOptions, type TrainResult } from './trainer.js';
