import { ExecutorError, firstLine } from '../../error.js';
import { builtFile, requireHere } from '../native.js';
import type { WasmInstance } from './instance.js';

interface WebAssemblyHere {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => WasmInstance;
}

/** An instance of the module that lies in this package. @throws {ExecutorError} `device` where it is not there. */
export function wasmFile(): WasmInstance {
  const bytes = process.getBuiltinModule('node:fs').readFileSync(findFile());
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyHere }).WebAssembly;
  return new Instance(new Module(bytes));
}

/** Beside this module or, where that has become a part of a bundle, in the installed package. */
function findFile(): string {
  const built = builtFile('wasm/dag_executor.wasm');
  if (built) return built;
  try {
    return requireHere().resolve('@dag/executor/dag_executor.wasm');
  } catch (error) {
    throw new ExecutorError('device', `dag_executor.wasm is not there: ${firstLine(error)}`);
  }
}
