import type { Device } from '../backend.js';
import { ExecutorError } from '../error.js';

/** What is used of koffi, see its documentation: https://koffi.dev. */
export interface Koffi {
  load(path: string): { func: Bind };
  alloc(type: string, length: number): bigint;
  view(pointer: bigint, bytes: number): ArrayBuffer;
  pointer(type: string): unknown;
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

/** Node's `require`; not imported, so that the package loads where there is no Node. */
export function requireHere(): NodeJS.Require {
  const { process } = globalThis as { process?: NodeJS.Process };
  if (!process?.versions?.node) throw new ExecutorError('device', 'the native kernels need Node');
  if (!import.meta.url)
    throw new ExecutorError(
      'device',
      'the native kernels are found by the URL of their module, which a bundle in CommonJS has not; leave @dag/executor out of the bundle',
    );
  if (!process.getBuiltinModule)
    throw new ExecutorError(
      'device',
      `the native kernels need Node 20.16 or newer, this is ${process.version}`,
    );
  return process.getBuiltinModule('node:module').createRequire(import.meta.url);
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

/** What an error says, without the lines behind it, where Node lists the modules that asked for something. */
export function firstLine(error: unknown): string {
  const { message } = Object(error) as { message?: unknown };
  return String(message ?? error).split('\n')[0]!;
}

/** Why a backend is not there: whatever was thrown while it loaded, as an ExecutorError. */
export function whyMissing(device: Device, thrown: unknown): ExecutorError {
  if (thrown instanceof ExecutorError) return thrown;
  return new ExecutorError('device', `'${device}' cannot be loaded here: ${firstLine(thrown)}`);
}

/** A file that `npm run build` made in `native` of this package; null where it is not there. */
export function builtFile(path: string): string | null {
  const { existsSync } = process.getBuiltinModule('node:fs');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  // This module is dist/index.js of the package or, in its tests, src/backends/native.ts.
  for (const up of ['../', '../../']) {
    const file = fileURLToPath(new URL(`${up}native/${path}`, import.meta.url));
    if (existsSync(file)) return file;
  }
  return null;
}
