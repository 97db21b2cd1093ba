import type { Backend, Collectives } from '../../backend.js';
import type { BackendEntry, LoadedBackend } from '../../devices.js';
import { attention } from './attention.js';
import { dagKernels } from './dag.js';
import { CudaDevice } from './device.js';
import { elementwise } from './elementwise.js';
import { indexing } from './indexing.js';
import { Kernels } from './kernels.js';
import { Allocator, memory, Writer } from './memory.js';
import { loadNccl } from './nccl.js';
import { optimizer } from './optimizer.js';
import { products } from './products.js';
import { GraphRecorder } from './recorder.js';
import { rows } from './rows.js';
import { rowSums } from './sums.js';

/**
 * CUDA kernels (kernels/cuda), launched through NVIDIA's driver. All work is queued in order on one stream, so memory that is freed here
 * is free on the device when later work runs.
 *
 * @throws {ExecutorError} `device` where the driver, a device or the kernels are missing.
 */
function createCuda(): LoadedBackend {
  const device = new CudaDevice();
  const allocator = new Allocator(device);
  const writer = new Writer(device);
  const kernels = new Kernels(device, allocator);
  const sums = rowSums(kernels);
  let nccl: Collectives | undefined;
  const backend: Backend = {
    device: 'cuda',
    recorder: () => new GraphRecorder(device, allocator, writer),
    ...memory(device, allocator, writer),
    ...elementwise(kernels),
    ...rows(kernels, sums),
    ...indexing(kernels),
    ...optimizer(kernels),
    ...products(kernels, sums),
    ...attention(kernels),
    ...dagKernels(kernels),
    collectives: () => (nccl ??= loadNccl(device)),
  };
  const { number, name, capability, multiprocessors, driver } = device;
  return {
    backend,
    info: () => ({
      device: 'cuda',
      threads: multiprocessors,
      number,
      name,
      capability: capability / 10,
      library: driver.path,
    }),
  };
}

export const cuda: BackendEntry = { device: 'cuda', load: createCuda };
