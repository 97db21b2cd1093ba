import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from './system-error.js';

/**
 * Makes a folder and its missing parents. Returns the topmost folder that was missing, or null if none was. Does not use
 * the option `recursive`: with it Node reports ENOENT if the file system is read-only, and never ends where a parent such as
 * `/proc` refuses with ENOENT.
 */
export function makeFolder(path: string): string | null {
  if (existsSync(path)) return null;
  const above = makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process has made it meanwhile.
    if (systemCode(error) !== 'EEXIST') throw error;
    return above;
  }
  return above ?? path;
}
