import { ExecutorError } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { ModelError } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { z } from 'zod';
import { TrainError } from '../error.js';

const CLASSES = { TrainError, ModelError, ExprError, TensorizeError, ExecutorError };

const carriedSchema = z.object({
  carried: z.enum(Object.keys(CLASSES) as (keyof typeof CLASSES)[]),
  message: z.string(),
  stack: z.string().optional(),
  fields: z.record(z.string(), z.unknown()),
});

/**
 * Does what a worker thread is for, and throws what can be sent to another thread with all that it says: of an error itself the
 * class and the `code` would be lost.
 */
export function carryingErrors<T>(work: (index: number) => T): (index: number) => T {
  return (index) => {
    try {
      return work(index);
    } catch (error) {
      const carried = Object.entries(CLASSES).find(([, kind]) => error instanceof kind)?.[0];
      if (carried === undefined) throw error;
      const { message, stack, ...fields } = error as Error;
      // A cause may hold what cannot be sent.
      const sent = { carried, message, stack, fields: { ...fields, cause: undefined } };
      throw sent;
    }
  };
}

/** The error that a worker threw by `carryingErrors`, with its class; any other is as it came. */
export function carriedError(error: unknown): unknown {
  const { success, data } = carriedSchema.safeParse(error);
  if (!success) return error;
  const { carried, message, stack, fields } = data;
  const made = Object.assign(new Error(message), fields, { stack });
  return Object.setPrototypeOf(made, CLASSES[carried].prototype);
}
