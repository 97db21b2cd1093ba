import type { TrainConfigInput } from '../src/config.js';

const SECTIONS = ['model', 'data', 'optimizer', 'evaluation', 'checkpoint'] as const;

/** What `input` says, section by section, and what `base` says besides. */
export function overlay(base: TrainConfigInput, input: TrainConfigInput): TrainConfigInput {
  const sections = SECTIONS.map((key) => [key, { ...base[key], ...input[key] }]);
  return { ...base, ...input, ...(Object.fromEntries(sections) as TrainConfigInput) };
}
