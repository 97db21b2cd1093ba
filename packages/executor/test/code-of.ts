import { ExecutorError } from '../src/index.js';

/** The code of the ExecutorError that `body` throws, or 'none'; other errors are thrown on. */
export function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof ExecutorError) return error.code;
    throw error;
  }
  return 'none';
}
