import { ExecutorError, firstLine } from '../error.js';

/** The parts of koffi used here; see https://koffi.dev. */
export interface Koffi {
  load(path: string): { func: Bind };
  alloc(type: string, length: number): bigint;
  view(pointer: bigint, bytes: number): ArrayBuffer;
  pointer(type: string): unknown;
  /** Address of an array. V8 does not move the array afterwards. */
  address(array: Float64Array): bigint;
  /** Type of a pointer argument that the function writes to. */
  out(type: unknown): unknown;
  /** A structure without a name, passed by value. */
  struct(members: Readonly<Record<string, unknown>>): unknown;
  array(type: string, length: number): unknown;
}
export type Bind = (
  name: string,
  result: string,
  args: readonly unknown[],
) => (...args: unknown[]) => unknown;

/** An environment variable; undefined where it is unset or empty. Deno throws without permission to read it. */
export function environment(name: string): string | undefined {
  return globalThis.process?.env?.[name] || undefined;
}

/** A built-in module of Node; not imported, so that this package also loads without Node. */
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

/**
 * The file of this module, or of the bundle that contains it: CommonJS has no `import.meta.url`, and in its place webpack writes the
 * path at build time, where there may be no file when the bundle runs.
 */
function ownFile(): string {
  const { existsSync } = requireBuiltin('node:fs');
  const file = import.meta.url && requireBuiltin('node:url').fileURLToPath(import.meta.url);
  if (file && existsSync(file)) return file;
  if (typeof __filename === 'string') return __filename;
  if (file) return file;
  throw new ExecutorError(
    'device',
    'the native kernels are found by the file of their module, and it has none',
  );
}

/** Node's `require`, relative to this module. */
export function requireHere(): NodeJS.Require {
  return requireBuiltin('node:module').createRequire(ownFile());
}

/** Loads koffi. @throws {ExecutorError} `device` where it is not installed or has no binary for this platform. */
export function loadKoffi(): Koffi {
  try {
    return requireHere()('koffi') as Koffi;
  } catch (error) {
    if (error instanceof ExecutorError) throw error;
    throw new ExecutorError('device', `koffi cannot be loaded: ${firstLine(error)}`);
  }
}

/**
 * The path of a file that the build made in `native` of this package; null where it is not there. The path is joined, since
 * bundlers treat `new URL` with a template as a module.
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
