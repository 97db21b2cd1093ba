import { ExecutorError } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { ModelError } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { TrainError } from '../error.js';

/** The error classes that are preserved between threads. */
export const CARRIED = { TrainError, ModelError, ExprError, TensorizeError, ExecutorError };

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
      const sent = { carried, message, stack, fields: { ...fields, cause: undefined } };
      throw sent;
    }
  };
}
