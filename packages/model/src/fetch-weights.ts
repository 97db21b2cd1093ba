import type { Device } from '@dag/executor';
import { checkObject } from './arguments.js';
import { ModelError } from './error.js';
import { messageOf } from './safetensors/header.js';

/**
 * The bytes at an address.
 *
 * @throws {ModelError} `download` where the server cannot be reached or answers with an error status, `bad-file` where it answers with an
 *   HTML page, `aborted` where `signal` was aborted.
 */
async function fetchWeights(url: string | URL, signal?: AbortSignal): Promise<Uint8Array> {
  const address = String(url);
  try {
    const response = await fetch(url, { signal: signal ?? null });
    if (!response.ok) throw new ModelError('download', `${address}: the server answered ${response.status}`);
    // Servers of single-page applications answer so for every file that they do not have.
    if (response.headers.get('content-type')?.startsWith('text/html'))
      throw new ModelError(
        'bad-file',
        `${address}: the server answered with an HTML page in place of a file of weights`,
      );
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    if (signal?.aborted) throw new ModelError('aborted', `${address}: the download was aborted`, { cause });
    throw new ModelError('download', `${address} cannot be fetched: ${messageOf(cause)}`, { cause });
  }
}

/** Options of `fetch` of a model. */
export interface FetchOptions {
  /** Device of the weights; the default device where left out. */
  readonly device?: Device;
  /** Aborts the download. */
  readonly signal?: AbortSignal;
  /** What must be there before the model is made, such as `loadWasm()`: it and the weights are then loaded at the same time. */
  readonly ready?: PromiseLike<unknown>;
}

/** The model in the file at an address, which errors of `load` name. @throws {ModelError} as `fetchWeights`, and of `load`. */
export async function fetchModel<M>(
  url: string | URL,
  options: FetchOptions,
  load: (bytes: Uint8Array, options: { device?: Device }) => M,
): Promise<M> {
  checkObject('options such as { signal }', options);
  const { device, signal, ready } = options;
  const [bytes] = await Promise.all([fetchWeights(url, signal), ready]);
  try {
    return load(bytes, device ? { device } : {});
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    throw new ModelError(cause.code, `${String(url)}: ${cause.message}`, { cause });
  }
}
