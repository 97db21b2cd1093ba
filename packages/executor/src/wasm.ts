import type { WasmInstance } from './backends/wasm/instance.js';
import { wasm } from './backends/wasm/index.js';
import { needsSharedMemory, threadedInstance, type StartWorker } from './backends/wasm/threads.js';
import { isRegistered, registerBackend } from './devices.js';
import { ExecutorError, firstLine } from './error.js';

/** The parts of the global WebAssembly used here; its types come with those of browsers, which this project does not load. */
interface WebAssemblyHere {
  compileStreaming?(source: unknown): Promise<object>;
  compile(bytes: ArrayBuffer): Promise<object>;
  instantiate(module: object): Promise<WasmInstance>;
}

/** The parts of a page, or of a worker of it, that are used here. */
interface Page {
  readonly crossOriginIsolated?: boolean;
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly Blob: new (parts: readonly string[], options: { type: string }) => object;
  readonly URL: { createObjectURL(blob: object): string };
  readonly Worker: new (url: string) => { postMessage(data: object): void };
}

/** Options of `loadWasm`. */
export interface LoadWasmOptions {
  /**
   * Address of the file `@dag/executor/dag_executor_threads.wasm`, which a page must be cross-origin isolated for, or of
   * `@dag/executor/dag_executor.wasm`, of one thread; for bundlers that do not find them. Default: the one that can be used here, beside
   * this package's code.
   */
  readonly url?: string | URL;
}

/**
 * Loads and registers the backend `wasm`, the native kernels as WebAssembly with SIMD. From then on it is the default where `cpu` is not
 * there. In Node, Deno and Bun it is registered already. Existing tensors stay on their device. In a page that is cross-origin isolated
 * kernels run on several threads, elsewhere on one.
 *
 * @throws {ExecutorError} `device` where the file cannot be fetched, or this engine cannot run it.
 * @example
 * import { loadWasm } from '@dag/executor/wasm';
 * await loadWasm();
 */
export async function loadWasm(options: LoadWasmOptions = {}): Promise<void> {
  if (isRegistered('wasm')) return;
  const url = options.url ?? fileHere();
  const instance = await instantiate(url).catch((error: unknown) => {
    const wayOut = options.url === undefined ? `. ${WAY_OUT}` : '';
    throw new ExecutorError(
      'device',
      `loadWasm: ${String(url)} cannot be used: ${firstLine(error)}${wayOut}`,
    );
  });
  registerBackend(wasm(() => instance));
}

/** Vite's development server moves the code of a package away from its other files. */
const WAY_OUT =
  "Pass the address of the file: loadWasm({ url }); with Vite set optimizeDeps: { exclude: ['@dag/executor'] }. Esbuild has the " +
  "address by import url from '@dag/executor/dag_executor.wasm' and loader: { '.wasm': 'file' }; with Rollup copy the file";

const page = globalThis as unknown as Page;

/** Bundlers find files by exactly such expressions. */
function fileHere(): URL {
  return page.crossOriginIsolated
    ? new URL('../native/wasm/dag_executor_threads.wasm', import.meta.url)
    : new URL('../native/wasm/dag_executor.wasm', import.meta.url);
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
  if (!needsSharedMemory(module)) return here.instantiate(module);
  if (!page.crossOriginIsolated)
    throw new Error('its threads share memory, and this page is not cross-origin isolated');
  return threadedInstance(module, page.navigator?.hardwareConcurrency ?? 1, startWorker);
}

const startWorker: StartWorker = (code, data) => {
  const source = `onmessage = ({ data }) => {${code}\n}`;
  const url = page.URL.createObjectURL(new page.Blob([source], { type: 'text/javascript' }));
  new page.Worker(url).postMessage(data);
};
