import type { Calculation } from '@dag/model';

/** Options of `generate`. */
export const WRITTEN = { temperature: 0, maxNewTokens: 200 } as const;

export interface ToWriting {
  readonly prompt: string;
}

export type FromWriting =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'written';
      readonly prompt: string;
      readonly text: string;
      readonly calculations: readonly Calculation[];
    }
  | { readonly kind: 'problem'; readonly problem: string };

/** A prompt as training has it: a problem ends with its line. */
export const promptOf = (text: string): string => (/[.?!]\s*$/.test(text) ? `${text.trimEnd()}\n` : text);
