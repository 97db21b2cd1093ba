import { TrainError } from '../error.js';
import { systemCode } from '../files/system-error.js';
import { CARRIED } from '../workers/carry-error.js';
import { BROKEN_PIPE, warn } from './streams.js';
import { visible } from './visible.js';

/** Messages of V8 and worker threads when memory runs out. */
const OUT_OF_MEMORY =
  /allocation failed|Invalid (?:typed )?array (?:buffer )?length|Invalid string length|reaching memory limit/i;

/** The message to show for an error that a user can act on; null for others. */
function messageOf(error: unknown): string | null {
  if (Object.values(CARRIED).some((kind) => error instanceof kind)) return visible((error as Error).message);
  if (error instanceof Error && OUT_OF_MEMORY.test(error.message))
    return `out of memory (${error.message}); use a smaller model, batch or file`;
  return null;
}

function isBrokenPipe(error: unknown): boolean {
  if (!(error instanceof TrainError)) return systemCode(error) === 'EPIPE';
  return error.code === 'io' && isBrokenPipe(error.cause);
}

/**
 * Prints an error on stderr (with its stack if DAG_DEBUG is set) and sets the exit code to 1. If the output was a pipe that its reader
 * closed (`--out /dev/stdout | head`), prints nothing and sets the exit code of SIGPIPE.
 * @param prefix Names the process if there are several.
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
        (messageOf(error) ?? `${String(error)}; this is an unexpected error, DAG_DEBUG=1 prints its stack`),
    );
}
