/** The names of the four published sizes, with 124, 355, 774 and 1558 million parameters. */
export const GPT2_NAMES = ['gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl'] as const;
/** The name of a published size of GPT-2. */
export type Gpt2Name = (typeof GPT2_NAMES)[number];

/** Whether a text is the name of a published size of GPT-2, such as 'gpt2-medium'. */
export function isGpt2Name(source: string): source is Gpt2Name {
  return GPT2_NAMES.some((name) => name === source);
}
