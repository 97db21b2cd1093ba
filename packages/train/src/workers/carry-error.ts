import { ExecutorError } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { ModelError } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { TrainError } from '../error.js';

/** The classes of errors that are carried from one thread to another. */
export const CARRIED = { TrainError, ModelError, ExprError, TensorizeError, ExecutorError };

/**
 * Does what a worker thread is for, and throws what can be sent to another thread with all that it says: of an error itself the
 * class and the `code` would be lost.
 */
export function carryingErrors<T>(work: (index: number) => T): (index: number) => T {
  return (index) => {
    try {
      return work(index);
    } catch (error) {
      const carried = Object.entries(CARRIED).find(([, kind]) => error instanceof kind)?.[0];
      if (carried === undefined) throw error;
      const { message, stack, ...fields } = error as Error;
      // A cause may hold what cannot be sent.
      const sent = { carried, message, stack, fields: { ...fields, cause: undefined } };
      throw sent;
    }
  };
}
