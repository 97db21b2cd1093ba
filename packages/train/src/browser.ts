/** The entry for pages and their workers: what needs neither files nor threads. */
export { default as predictorSmall } from '../configs/predictor-small.js';
export { defineConfig, parseConfig, type TrainConfig, type TrainConfigInput } from './config/config.js';
export { type PredictorTrainConfig } from './config/predictor.js';
export { TrainError, type TrainErrorCode } from './error.js';
export {
  answer,
  answerAll,
  summarize,
  type Answer,
  type Score,
  type Summary,
} from './evaluation/evaluate.js';
export { heldOutQuestions, question, type Question } from './evaluation/questions.js';
export { modelConfig, streamConfig } from './predictor/objective.js';
export { streamText, trainingBatch, type StreamConfig, type TextBatch } from './predictor/stream.js';
export { PredictorTraining, type TrainingOptions } from './predictor/training.js';
export { type StepRecord } from './run/steps.js';
