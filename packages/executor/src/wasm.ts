import type { WasmInstance } from './backends/wasm/instance.js';
import { wasm } from './backends/wasm/index.js';
import { isRegistered, registerBackend } from './devices.js';
import { ExecutorError, firstLine } from './error.js';

/** The parts of the global WebAssembly used here; its types come with those of browsers, which this project does not load. */
interface WebAssemblyHere {
  compileStreaming?(source: unknown): Promise<object>;
  compile(bytes: ArrayBuffer): Promise<object>;
  instantiate(module: object): Promise<WasmInstance>;
}

/** Options of `loadWasm`. */
export interface LoadWasmOptions {
  /** Address of the file `@dag/executor/dag_executor.wasm`, for bundlers that do not find it. Default: beside this package's code. */
  readonly url?: string | URL;
}

/**
 * Loads and registers the backend `wasm`, the native kernels as WebAssembly with SIMD. From then on it is the default where `cpu` is not
 * there. In Node, Deno and Bun it is registered already. Existing tensors stay on their device.
 *
 * @throws {ExecutorError} `device` where the file cannot be fetched, or this engine cannot run it.
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
  // compileStreaming refuses any other content type.
  const isNamed = response.headers.get('content-type')?.startsWith('application/wasm');
  const module =
    isNamed && here.compileStreaming
      ? await here.compileStreaming(response)
      : await here.compile(await response.arrayBuffer());
  return here.instantiate(module);
}
