import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from './system-error.js';

/**
 * Makes a folder and those above it; returns the uppermost one that was missing, null where all are there. Not
 * `recursive`, with which Node says ENOENT where a file system is read-only.
 */
export function makeFolder(path: string): string | null {
  if (existsSync(path)) return null;
  const above = makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process was faster.
    if (systemCode(error) !== 'EEXIST') throw error;
    return above;
  }
  return above ?? path;
}
