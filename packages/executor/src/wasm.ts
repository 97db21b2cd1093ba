import type { WasmInstance } from './backends/wasm/instance.js';
import { wasm } from './backends/wasm/index.js';
import { isRegistered, registerBackend } from './devices.js';
import { ExecutorError, firstLine } from './error.js';

/** The part of the global WebAssembly that is used; its types belong to those of pages. */
interface WebAssemblyHere {
  compileStreaming?(source: unknown): Promise<object>;
  compile(bytes: ArrayBuffer): Promise<object>;
  instantiate(module: object): Promise<WasmInstance>;
}

export interface LoadWasmOptions {
  /**
   * Where dag_executor.wasm is, where a bundler does not find it by itself: `@dag/executor/dag_executor.wasm` is the file. Default:
   * beside this package's code.
   */
  readonly url?: string | URL;
}

/**
 * Makes the backend `wasm` known, the native kernels as WebAssembly with SIMD, and from then on the one that is taken where none is
 * named and `cpu` is not there. In Node it is there already. Tensors that were made before stay on their device.
 *
 * @throws {ExecutorError} `device` where the file cannot be had or this engine does not run it.
 * @example
 * import { loadWasm } from '@dag/executor/wasm';
 * await loadWasm();
 */
export async function loadWasm(options: LoadWasmOptions = {}): Promise<void> {
  if (isRegistered('wasm')) return;
  const url = options.url ?? new URL('../native/wasm/dag_executor.wasm', import.meta.url);
  const instance = await instantiate(url).catch((error: unknown) => {
    throw new ExecutorError('device', `loadWasm: ${String(url)} cannot be used: ${firstLine(error)}`);
  });
  registerBackend(wasm(() => instance));
}

async function instantiate(url: string | URL): Promise<WasmInstance> {
  const { WebAssembly: here } = globalThis as unknown as { WebAssembly: WebAssemblyHere };
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  // A server that gives files of this kind another type makes compileStreaming fail.
  const isNamed = response.headers.get('content-type')?.startsWith('application/wasm');
  const module =
    isNamed && here.compileStreaming
      ? await here.compileStreaming(response)
      : await here.compile(await response.arrayBuffer());
  return here.instantiate(module);
}
