import { visible } from './visible.js';

/** The exit code that shells give a command ended by SIGPIPE. Node ignores that signal, so commands set the code themselves. */
export const BROKEN_PIPE = 128 + 13;

/**
 * Ends the process if stdout cannot be written: silently if its reader closed the pipe (`dag eval | head`), with a
 * message if the disk is full. Errors of stderr are ignored.
 */
export function guardStreams(): void {
  process.stdout.on('error', (error) => process.exit(codeOf(error)));
  // If the process ends right after a write, as with --help, the error event no longer fires.
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
