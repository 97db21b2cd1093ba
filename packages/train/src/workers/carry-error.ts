import { ExecutorError } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { ModelError } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { TrainError } from '../error.js';

/** The error classes of these packages, whose message is enough for the user. They are preserved between threads. */
export const CARRIED = { TrainError, ModelError, ExprError, TensorizeError, ExecutorError };

/** What is sent in place of such an error. */
interface Carried {
  readonly carried: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly fields: object;
}

/**
 * Wraps the function of a worker thread, so that it throws errors as plain objects. Structured cloning would drop the class and the
 * `code` of an error; `carriedError` restores both.
 */
export function carryingErrors<T>(work: (index: number) => T): (index: number) => T {
  return (index) => {
    try {
      return work(index);
    } catch (error) {
      const carried = Object.entries(CARRIED).find(([, kind]) => error instanceof kind)?.[0];
      if (carried === undefined) throw error;
      const { message, stack, ...fields } = error as Error;
      // `cause` may contain values that cannot be cloned.
      const sent: Carried = { carried, message, stack, fields: { ...fields, cause: undefined } };
      throw sent;
    }
  };
}

/** Restores an error that `carryingErrors` sent from a worker thread, with its class; returns any other error unchanged. */
export function carriedError(error: unknown): unknown {
  const { carried, message, stack, fields } = Object(error) as Partial<Carried>;
  const kind = Object.entries(CARRIED).find(([name]) => name === carried)?.[1];
  if (!kind) return error;
  return Object.setPrototypeOf(Object.assign(new Error(message), fields, { stack }), kind.prototype);
}
