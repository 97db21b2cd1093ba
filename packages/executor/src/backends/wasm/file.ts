import type { Worker } from 'node:worker_threads';
import { ExecutorError, firstLine } from '../../error.js';
import { builtFile, requireHere } from '../native.js';
import type { WasmInstance } from './instance.js';
import { threadedInstance, type StartWorker } from './threads.js';

interface WebAssemblyHere {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => WasmInstance;
}

/**
 * An instance of this package's module with threads, or of the one without where this engine has no shared memory of 4 GiB.
 *
 * @throws {ExecutorError} `device` where the file is missing.
 */
export function wasmFile(): WasmInstance {
  const cores = process.getBuiltinModule('node:os').availableParallelism();
  try {
    return threadedInstance(moduleOf('dag_executor_threads.wasm'), cores, startWorker);
  } catch (error) {
    if (error instanceof ExecutorError) throw error;
    return oneThreadFile();
  }
}

/** An instance of the module without threads. */
export function oneThreadFile(): WasmInstance {
  const { Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyHere }).WebAssembly;
  return new Instance(moduleOf('dag_executor.wasm'));
}

const startWorker: StartWorker = (code, data) => {
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const worker = new Worker(`const { workerData: data } = require('node:worker_threads');${code}`, {
    eval: true,
    workerData: data,
    // --import and NODE_OPTIONS of this process are for its own code.
    execArgv: [],
    env: {},
  });
  worker.unref();
  const endWith = process.getBuiltinModule('node:vm').runInThisContext(END_WITH) as EndWith;
  endWith(data.memory, worker);
};

type EndWith = (memory: object, worker: Worker) => void;
/**
 * Ends a worker when the memory is collected. This is code of Node's own context: Jest gives each test file a context, and whatever a
 * running worker refers to in it would keep all of it.
 */
const END_WITH = `(memory, worker) => {
  const registry = new FinalizationRegistry(() => worker.terminate());
  registry.register(memory);
  worker.once('exit', () => registry);
  // It cannot start, for want of memory: others do its work.
  worker.on('error', () => {});
}`;

function moduleOf(name: string): object {
  const bytes = process.getBuiltinModule('node:fs').readFileSync(find(name));
  const { Module } = (globalThis as unknown as { WebAssembly: WebAssemblyHere }).WebAssembly;
  return new Module(bytes);
}

/** The file beside this module, or in the installed package where this module is part of a bundle. */
function find(name: string): string {
  const built = builtFile(`wasm/${name}`);
  if (built) return built;
  try {
    return requireHere().resolve(`@dag/executor/${name}`);
  } catch (error) {
    throw new ExecutorError('device', `${name} is not there: ${firstLine(error)}`);
  }
}
