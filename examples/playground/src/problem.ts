/** What an error says, without the name of the function that found it. */
export const problemOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/^predict: /, '');
