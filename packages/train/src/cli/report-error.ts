import { ExecutorError } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { ModelError } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { TrainError } from '../error.js';

/** Errors that say all there is to say; of others the stack is of use. */
const expected = [TrainError, ModelError, ExprError, TensorizeError, ExecutorError];

/** The message of an error that a user can act on; null for others. */
export function messageOf(error: unknown): string | null {
  return expected.some((kind) => error instanceof kind) ? (error as Error).message : null;
}
