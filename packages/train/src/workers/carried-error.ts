import { z } from 'zod';
import { CARRIED } from './carry-error.js';

const carriedSchema = z.object({
  carried: z.enum(Object.keys(CARRIED) as (keyof typeof CARRIED)[]),
  message: z.string(),
  stack: z.string().optional(),
  fields: z.record(z.string(), z.unknown()),
});

/** Restores an error that `carryingErrors` sent from a worker thread, with its class; returns any other error unchanged. */
export function carriedError(error: unknown): unknown {
  const { success, data } = carriedSchema.safeParse(error);
  if (!success) return error;
  const { carried, message, stack, fields } = data;
  const made = Object.assign(new Error(message), fields, { stack });
  return Object.setPrototypeOf(made, CARRIED[carried].prototype);
}
