import { statSync } from 'node:fs';

/** Throws where a path is a pipe, a device or a folder: to open or read one of those may wait for ever, or never end. */
export function requireRegular(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isFile()) throw new Error('it is no regular file');
}
