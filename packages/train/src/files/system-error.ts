import { TrainError } from '../error.js';

/** Wraps an error of the system in a TrainError `io`; returns a TrainError unchanged. */
export function systemError(what: string, error: unknown): TrainError {
  if (error instanceof TrainError) return error;
  return new TrainError('io', `${what}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

/** The `code` of an error of the system, such as ENOENT; empty for other errors. */
export function systemCode(error: unknown): string {
  const { code } = Object(error) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** Whether an error says that a path does not exist, or that its parent is not a folder. */
export const isAbsent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(systemCode(error));
