/** The four sizes that were published, of 124, 355, 774 and 1558 million parameters. */
export const GPT2_NAMES = ['gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl'] as const;
export type Gpt2Name = (typeof GPT2_NAMES)[number];

export function isGpt2Name(source: string): source is Gpt2Name {
  return GPT2_NAMES.some((name) => name === source);
}
