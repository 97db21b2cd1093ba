import { workerData } from 'node:worker_threads';
import { carryingErrors } from '../workers/carry-error.js';
import { languageBatch, type LanguageStreamConfig } from './language-stream.js';

const { stream, plans } = workerData as { readonly stream: LanguageStreamConfig; readonly plans: boolean };

/** One thread of a language model's stream: micro-batch `index` of the configuration that the pool was made with. */
export default carryingErrors((index) => languageBatch(stream, 'train', index, plans));
