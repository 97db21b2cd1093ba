import { createRequire } from 'node:module';

/** Loads the package only when a terminal shows a bar, so that commands start faster. */
export const cliProgress = (): typeof import('cli-progress') =>
  createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress');
