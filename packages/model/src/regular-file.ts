import { readFile, stat } from 'node:fs/promises';

/** Throws unless a path is a regular file of at most `mostBytes` bytes: reading a pipe or a device may never end. */
export async function checkRegularFile(path: string, mostBytes = Infinity): Promise<void> {
  const info = await stat(path);
  if (!info.isFile())
    throw new Error(`it is ${info.isDirectory() ? 'a folder' : 'a pipe or a device'}, no file`);
  if (info.size > mostBytes) throw new Error(`it has ${info.size} bytes, expected at most ${mostBytes}`);
}

/** Reads a regular file of at most `mostBytes` bytes. */
export async function readRegularFile(path: string, mostBytes?: number): Promise<Buffer> {
  await checkRegularFile(path, mostBytes);
  return readFile(path);
}
