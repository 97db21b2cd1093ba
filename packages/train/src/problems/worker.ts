import { workerData } from 'node:worker_threads';
import { carryingErrors } from '../workers/carry-error.js';
import { problemBatches, type ProblemStreamConfig } from './problem-stream.js';

/** Worker thread: makes batch `index` of the stream in `workerData`. */
export default carryingErrors(problemBatches(workerData as ProblemStreamConfig));
