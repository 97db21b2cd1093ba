import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Has the backend `cuda` run on the emulator of kernels/cuda/emulator, which the build makes where there is a C++ compiler,
 * unless `DAG_TEST_CUDA=device` asks for a GPU; → why it cannot, or null.
 */
export function prepareCuda(): string | null {
  if (process.env['DAG_TEST_CUDA'] === 'device' || process.env['DAG_CUDA_DRIVER']) return null;
  const built = process.env['DAG_CUDA_EMULATOR'] ?? 'cuda-emulated';
  const folder = fileURLToPath(new URL(`../native/${built}`, import.meta.url));
  if (!existsSync(`${folder}/libcuda.so`)) return 'the emulator of CUDA is not built';
  process.env['DAG_CUDA_DRIVER'] = `${folder}/libcuda.so`;
  process.env['DAG_CUDA_KERNELS'] = folder;
  return null;
}
