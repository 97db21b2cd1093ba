export type ToTraining =
  | { readonly kind: 'go' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'weights' }
  /** The text to answer from now on. */
  | { readonly kind: 'text'; readonly text: string };

export type FromTraining =
  | { readonly kind: 'step'; readonly step: number; readonly of: number; readonly loss: number }
  /** `right` is the share of the `of` held-out texts whose value is right. */
  | { readonly kind: 'held-out'; readonly step: number; readonly right: number; readonly of: number }
  | {
      readonly kind: 'answer';
      readonly value: number;
      readonly expression: string;
      /** Why the value may be wrong; null where no reason is known. */
      readonly doubt: string | null;
    }
  /** Why the text cannot be given to the model. */
  | { readonly kind: 'no-answer'; readonly problem: string }
  | { readonly kind: 'weights'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'stopped'; readonly isDone: boolean }
  | { readonly kind: 'problem'; readonly problem: string };
