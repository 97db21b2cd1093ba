import { workerData } from 'piscina';
import { languageBatch, type LanguageStreamConfig } from './language-stream.js';

/** One thread of a language model's stream: micro-batch `index` of the configuration that the pool was made with. */
export default function makeBatch(index: number): unknown {
  return languageBatch(workerData as LanguageStreamConfig, 'train', index);
}
