import { visible } from './visible.js';

/** As shells say it of a command that SIGPIPE ended, a signal that Node ignores. */
export const BROKEN_PIPE = 128 + 13;

/**
 * Ends the process where stdout cannot be written: without a word where its reader has seen enough (`dag eval | head`), with a
 * message where the disk is full. Without stderr a command does the same as with it.
 */
export function guardStreams(): void {
  process.stdout.on('error', (error) => process.exit(codeOf(error)));
  // Where the process ends right after a write, as with --help, that event does not come any more.
  process.on('exit', (code) => {
    const error = process.stdout.errored;
    if (code === 0 && error) process.exitCode = codeOf(error);
  });
  process.stderr.on('error', () => undefined);
}

function codeOf(error: NodeJS.ErrnoException): number {
  if (error.code === 'EPIPE') return BROKEN_PIPE;
  warn(`the output cannot be written: ${error.message}`);
  return 1;
}

/** Prints a text for people on stdout. */
export const say = (text: string): void => console.log(visible(text));

/** Prints a message on stderr. */
export const warn = (message: string): void => console.error(`dag: ${visible(message)}`);
