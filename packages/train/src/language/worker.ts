import { workerData } from 'node:worker_threads';
import { carryingErrors } from '../workers/carry-error.js';
import { languageBatch, type LanguageStreamConfig } from './language-stream.js';

const { stream, plans } = workerData as { readonly stream: LanguageStreamConfig; readonly plans: boolean };

/** Worker thread: makes micro-batch `index` of the language model's stream in `workerData`. */
export default carryingErrors((index) => languageBatch(stream, 'train', index, plans));
