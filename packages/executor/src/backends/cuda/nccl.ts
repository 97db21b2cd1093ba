import type { Collectives, DType, Storage } from '../../backend.js';
import { ExecutorError, firstLine } from '../../error.js';
import { environment } from '../native.js';
import type { CudaDevice } from './device.js';
import { addressOf } from './memory.js';

/** Bytes of an ncclUniqueId. */
export const ID_BYTES = 128;
/** ncclDataType_t and ncclRedOp_t (nccl.h). */
const TYPES: Readonly<Record<DType, number>> = { i32: 2, f32: 7, f64: 8, bf16: 9 };
const SUM = 0;
const SUCCESS = 0;

/**
 * NVIDIA's NCCL, called through its library libnccl (NCCL API reference).
 *
 * @throws {ExecutorError} `device` where it is missing or too old.
 */
export function loadNccl(device: CudaDevice): Collectives {
  const { koffi } = device.driver;
  const path = environment('DAG_NCCL_LIBRARY') ?? 'libnccl.so.2';
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(path);
  } catch (error) {
    throw new ExecutorError('device', `no NCCL: ${path} cannot be loaded (${firstLine(error)})`);
  }
  const bind = (name: string, args: readonly unknown[], result = 'int32_t') => {
    try {
      return library.func(name, result, args);
    } catch (error) {
      throw new ExecutorError('device', `NCCL ${path} is too old: ${name} (${firstLine(error)})`);
    }
  };
  const errorString = bind('ncclGetErrorString', ['int32_t'], 'const char *');
  const checked = (name: string, args: readonly unknown[]) => {
    const call = bind(name, args);
    return (...values: unknown[]): void => {
      const code = call(...values);
      if (code !== SUCCESS)
        throw new ExecutorError('device', `cuda: ${name} failed: ${String(errorString(code))}`);
    };
  };
  const id = koffi.struct({ bytes: koffi.array('uint8_t', ID_BYTES) });
  const getVersion = checked('ncclGetVersion', ['void *']);
  const getUniqueId = checked('ncclGetUniqueId', ['void *']);
  const initRank = checked('ncclCommInitRank', ['void *', 'int32_t', id, 'int32_t']);
  const groupStart = checked('ncclGroupStart', []);
  const groupEnd = checked('ncclGroupEnd', []);
  const allReduce = checked('ncclAllReduce', [
    ...['void *', 'void *', 'size_t', 'int32_t', 'int32_t', 'void *', 'void *'],
  ]);
  const destroy = checked('ncclCommDestroy', ['void *']);

  const version = new Int32Array(1);
  getVersion(version);
  return {
    version: shown(version[0]!),
    uniqueId: () => {
      const bytes = new Uint8Array(ID_BYTES);
      getUniqueId(bytes);
      return bytes;
    },
    join: (bytes, rank, size) => {
      const handle = new BigUint64Array(1);
      initRank(handle, size, { bytes }, rank);
      const communicator = handle[0]!;
      return {
        sum: (xs: readonly Storage[]) => {
          groupStart();
          try {
            for (const x of xs) {
              if (x.length === 0) continue;
              device.trace?.push({ what: 'ncclAllReduce', numbers: [x.length, TYPES[x.dtype]] });
              const at = BigInt(addressOf(x));
              allReduce(at, at, x.length, TYPES[x.dtype], SUM, communicator, device.stream);
            }
          } finally {
            groupEnd();
          }
        },
        close: () => {
          device.synchronize();
          destroy(communicator);
        },
      };
    },
  };
}

/** NCCL_VERSION_CODE: 1000·major + 100·minor + patch up to 2.8, 10,000·major from 2.9 on. */
function shown(code: number): string {
  const major = code < 10_000 ? 1000 : 10_000;
  return `${Math.floor(code / major)}.${Math.floor((code % major) / 100)}.${code % 100}`;
}
