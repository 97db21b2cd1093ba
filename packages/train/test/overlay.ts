import type { LanguageTrainInput } from '../src/config/language.js';
import type { PredictorTrainInput } from '../src/config/predictor.js';

const SECTIONS = ['model', 'data', 'optimizer', 'evaluation', 'checkpoint'] as const;

/** What `input` says, section by section, and what `base` says besides. */
export function overlay<T extends PredictorTrainInput | LanguageTrainInput>(base: T, input: Partial<T>): T {
  const sections = SECTIONS.map((key) => [key, { ...base[key], ...input[key] }]);
  return { ...base, ...input, ...Object.fromEntries(sections) } as T;
}
