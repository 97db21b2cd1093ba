import { statSync } from 'node:fs';

/** Throws if a path is a pipe, a device or a folder: opening or reading these may block forever, or never end. */
export function requireRegular(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isFile()) throw new Error('it is not a regular file');
}
