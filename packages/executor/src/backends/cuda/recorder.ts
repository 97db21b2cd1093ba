import type { Recorder, Recording, Trace } from '../../backend.js';
import { checkTrace } from '../../trace.js';
import { bytesOf } from '../host.js';
import type { CudaDevice } from './device.js';
import { addressOf, Arena, cudaStorage, type Allocator, type Pinned, type Writer } from './memory.js';

/** Capture mode that allows allocations, which do not become part of the graph (CUDA Driver API, stream capture). */
const CAPTURE_RELAXED = 2;

/** Records steps as CUDA graphs, which launch all their kernels at once. */
export class GraphRecorder implements Recorder {
  readonly #device: CudaDevice;
  readonly #allocator: Allocator;
  readonly #writer: Writer;
  #arena = new Arena();

  constructor(device: CudaDevice, allocator: Allocator, writer: Writer) {
    this.#device = device;
    this.#allocator = allocator;
    this.#writer = writer;
  }

  trace<T>(body: () => T): readonly [result: T, trace: Trace] {
    const trace = (this.#device.trace = []);
    try {
      return [body(), trace];
    } finally {
      this.#device.trace = null;
    }
  }

  record<T>(body: () => T, expected: Trace): readonly [result: T, recording: Recording] {
    const device = this.#device;
    const { driver, stream } = device;
    driver.call('cuStreamBeginCapture_v2', stream, CAPTURE_RELAXED);
    const sources: Pinned[] = [];
    const graph = new BigUint64Array(1);
    const executable = new BigUint64Array(1);
    try {
      let result: T;
      try {
        const [made, trace] = this.#allocator.within(this.#arena, () =>
          this.#writer.keeping(sources, () => this.trace(body)),
        );
        checkTrace(trace, expected);
        result = made;
      } catch (error) {
        // Also ends the capture; `error` already says what is wrong.
        driver.try('cuStreamEndCapture', stream, graph);
        throw error;
      }
      driver.call('cuStreamEndCapture', stream, graph);
      driver.call('cuGraphInstantiateWithFlags', executable, graph[0]!, 0);
      return [result, this.#recording(executable[0]!, sources)];
    } catch (error) {
      this.#freeSources(sources);
      throw error;
    } finally {
      if (graph[0] !== 0n) driver.try('cuGraphDestroy', graph[0]!);
    }
  }

  copy(x: Parameters<Recorder['copy']>[0], y: Parameters<Recorder['copy']>[1]): void {
    const { driver, stream } = this.#device;
    const bytes = x.length * bytesOf(x.dtype);
    if (bytes > 0) driver.call('cuMemcpyDtoDAsync_v2', addressOf(y), addressOf(x), bytes, stream);
    cudaStorage(y).range = cudaStorage(x).range;
  }

  makeRoom(): boolean {
    if (this.#allocator.kept === 0) return false;
    this.#allocator.empty();
    return true;
  }

  release(): void {
    this.#allocator.takeBack(this.#arena);
    this.#arena = new Arena();
  }

  #recording(executable: bigint, sources: readonly Pinned[]): Recording {
    const { driver, stream } = this.#device;
    return {
      replay: () => {
        const code = driver.try('cuGraphLaunch', executable, stream);
        if (code !== 0) throw driver.error(code, 'a recorded step');
      },
      release: () => {
        driver.try('cuGraphExecDestroy', executable);
        this.#freeSources(sources);
      },
    };
  }

  /** The device may still be reading them. */
  #freeSources(sources: readonly Pinned[]): void {
    const { driver, stream } = this.#device;
    if (sources.length > 0) driver.try('cuStreamSynchronize', stream);
    for (const { pointer } of sources) driver.try('cuMemFreeHost', pointer);
  }
}
