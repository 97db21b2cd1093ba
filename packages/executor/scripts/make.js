/** What the builds of native code share: files that are made once for each state of what they depend on. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Files of a folder whose names end so, also in its folders, in order. */
export async function filesOf(folder, ending) {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith(ending)).sort();
}

/** A hash of texts and the contents of files. */
export async function hashOf(texts, files) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text);
  for (const file of files) hash.update(file).update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

/**
 * Runs a compiler and puts its output in place whole: of two builds at once, or of one that was stopped, too.
 *
 * @returns what it said
 */
export async function make(command, args, output) {
  const part = `${output}.${process.pid}`;
  const { stdout, stderr } = await promisify(execFile)(command, [...args, '-o', part], {
    maxBuffer: 2 ** 26,
  });
  await rename(part, output);
  return stdout + stderr;
}

/** Makes those files that are not there yet, as many at a time as there are processors. `done` gets each and what was said. */
export async function makeMissing(command, files, done) {
  const missing = files.filter(({ file }) => !existsSync(file)).values();
  const work = async () => {
    for (const each of missing) done(each, await make(command, each.args, each.file));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/** Makes the missing ones of `objects` and links all to `output`, and removes those of `folder` that no build needs any more. */
export async function makeLibrary(command, objects, link, output, folder) {
  const said = (text) => text && console.error(text);
  await makeMissing(command, objects, (_, text) => said(text));
  const files = objects.map(({ file }) => file);
  said(await make(command, link(files), output));
  await removeOld(folder, new Set(files));
}

/** Of what a build did not need, what no other build that runs now can need either. */
export async function removeOld(folder, needed) {
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (!needed.has(file) && Date.now() - made > 3_600_000) await rm(file, { force: true });
  }
}
