import { createRequire } from 'node:module';

/** The package, loaded where a terminal shows a bar: all else starts sooner without it. */
export const cliProgress = (): typeof import('cli-progress') =>
  createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress');
