import { ExprError } from '../src/index.js';

/** The ExprError that `act` throws; anything else that happens is a failure of the test. */
export function failure(act: () => unknown): ExprError {
  try {
    act();
  } catch (error) {
    if (error instanceof ExprError) return error;
    throw error;
  }
  throw new Error('expected an ExprError, but nothing was thrown');
}

/** Code and position of the ExprError that `act` throws. */
export function codeAndPosition(act: () => unknown): [string, number] {
  const { code, position } = failure(act);
  return [code, position];
}
