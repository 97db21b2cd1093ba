import { z } from 'zod';
import { TrainError } from '../error.js';

/** What the system refused as a TrainError `io`; a TrainError as it is. */
export function systemError(what: string, error: unknown): TrainError {
  if (error instanceof TrainError) return error;
  return new TrainError('io', `${what}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

/** The `code` of what the system refused, as ENOENT; empty for other errors. */
export const systemCode = (error: unknown): string =>
  z.object({ code: z.string() }).safeParse(error).data?.code ?? '';

/** Whether there is nothing of that name, also as what should be its folder is none. */
export const isAbsent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(systemCode(error));
