import { ExecutorError, firstLine } from '../../error.js';
import { builtFile, requireHere } from '../native.js';
import type { WasmInstance } from './instance.js';

interface WebAssemblyHere {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => WasmInstance;
}

/** An instance of dag_executor.wasm of this package. @throws {ExecutorError} `device` where the file is missing. */
export function wasmFile(): WasmInstance {
  const bytes = process.getBuiltinModule('node:fs').readFileSync(findFile());
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyHere }).WebAssembly;
  return new Instance(new Module(bytes));
}

/** The file beside this module, or in the installed package where this module is part of a bundle. */
function findFile(): string {
  const built = builtFile('wasm/dag_executor.wasm');
  if (built) return built;
  try {
    return requireHere().resolve('@dag/executor/dag_executor.wasm');
  } catch (error) {
    throw new ExecutorError('device', `dag_executor.wasm is not there: ${firstLine(error)}`);
  }
}
