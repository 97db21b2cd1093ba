import { ExecutorError } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { ModelError } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { TrainError } from '../error.js';
import { systemCode } from '../files/system-error.js';
import { BROKEN_PIPE, warn } from './streams.js';
import { visible } from './visible.js';

/** Errors that say all there is to say; of others the stack is of use. */
const expected = [TrainError, ModelError, ExprError, TensorizeError, ExecutorError];

/** What V8 and threads say where memory runs out. */
const OUT_OF_MEMORY =
  /allocation failed|Invalid (?:typed )?array (?:buffer )?length|Invalid string length|reaching memory limit/i;

/** The message of an error that a user can act on; null for others. */
function messageOf(error: unknown): string | null {
  if (expected.some((kind) => error instanceof kind)) return visible((error as Error).message);
  if (error instanceof Error && OUT_OF_MEMORY.test(error.message))
    return `out of memory (${error.message}); a smaller model, batch or file takes less`;
  return null;
}

function isBrokenPipe(error: unknown): boolean {
  if (!(error instanceof TrainError)) return systemCode(error) === 'EPIPE';
  return error.code === 'io' && isBrokenPipe(error.cause);
}

/**
 * Says on stderr what went wrong: one message, and with DAG_DEBUG where. The exit code is 1 from then on; without a word that of SIGPIPE
 * where a file to write was a pipe whose reader has seen enough (`--out /dev/stdout | head`).
 * @param prefix Which process it was, where there are several.
 */
export function reportError(error: unknown, prefix = ''): void {
  if (isBrokenPipe(error)) {
    process.exitCode = BROKEN_PIPE;
    return;
  }
  process.exitCode = 1;
  if (process.env['DAG_DEBUG']) console.error(error);
  else
    warn(
      prefix +
        (messageOf(error) ?? `${String(error)}; this was not foreseen, DAG_DEBUG=1 prints where it happened`),
    );
}
