import { ExecutorError, firstLine } from '../error.js';

/** What is used of koffi, see its documentation: https://koffi.dev. */
export interface Koffi {
  load(path: string): { func: Bind };
  alloc(type: string, length: number): bigint;
  view(pointer: bigint, bytes: number): ArrayBuffer;
  pointer(type: string): unknown;
  /** Where an array lies, which V8 does not move once this was asked. */
  address(array: Float64Array): bigint;
  /** A pointer that the function writes to. */
  out(type: unknown): unknown;
}
export type Bind = (
  name: string,
  result: string,
  args: readonly unknown[],
) => (...args: unknown[]) => unknown;

/** A variable of the environment, undefined where it is not set or empty. Deno throws where it may not be read. */
export function environment(name: string): string | undefined {
  return globalThis.process?.env?.[name] || undefined;
}

/** A module of Node; not imported, so that the package loads where there is no Node. */
function requireBuiltin<Name extends 'node:fs' | 'node:path' | 'node:url' | 'node:module'>(name: Name) {
  const { process } = globalThis as { process?: NodeJS.Process };
  if (!process?.versions?.node) throw new ExecutorError('device', 'the native kernels need Node');
  if (!process.getBuiltinModule)
    throw new ExecutorError(
      'device',
      `the native kernels need Node 20.16 or newer, this is ${process.version}`,
    );
  return process.getBuiltinModule(name);
}

/** The file of this module; of a bundle in CommonJS, which has no `import.meta.url`, that of the bundle. */
function ownFile(): string {
  if (import.meta.url) return requireBuiltin('node:url').fileURLToPath(import.meta.url);
  if (typeof __filename === 'string') return __filename;
  throw new ExecutorError(
    'device',
    'the native kernels are found by the file of their module, and it has none',
  );
}

/** Node's `require` of this package. */
export function requireHere(): NodeJS.Require {
  return requireBuiltin('node:module').createRequire(ownFile());
}

/** @throws {ExecutorError} `device` where it is not installed or has no binary for this platform. */
export function loadKoffi(): Koffi {
  try {
    return requireHere()('koffi') as Koffi;
  } catch (error) {
    if (error instanceof ExecutorError) throw error;
    throw new ExecutorError('device', `koffi cannot be loaded: ${firstLine(error)}`);
  }
}

/**
 * A file that the build made in `native` of this package; null where it is not there. A joined path: bundlers take the
 * address of a URL with a template for that of a module.
 */
export function builtFile(path: string): string | null {
  const { existsSync } = requireBuiltin('node:fs');
  const { dirname, join } = requireBuiltin('node:path');
  const here = dirname(ownFile());
  // This module is in dist or, in tests, in src/backends.
  for (const up of ['..', join('..', '..')]) {
    const file = join(here, up, 'native', path);
    if (existsSync(file)) return file;
  }
  return null;
}
