import { checkedList, checkNumber, checkOptions, named, WHOLE_FROM_1 } from '../arguments.js';
import type { Collectives } from '../backend.js';
import { ID_BYTES } from '../backends/cuda/nccl.js';
import { backendOf } from '../devices.js';
import { ExecutorError } from '../error.js';
import { checkTensor, commonBackend, refuseBf16, type Tensor } from '../tensor.js';

/** Processes whose GPUs sum tensors among them. All make the same calls in the same order. */
export interface NcclCommunicator {
  /**
   * Replaces every number of the tensors by its sum over the processes, in place, with the same bits on each. Queued like an op: the call
   * does not wait for the other processes, reading a result does.
   *
   * @throws {ExecutorError} `device` where a tensor is not on `cuda`, NCCL fails, or the communicator is closed; `autograd` for a tensor
   *   that an op made with gradients.
   */
  allReduce(tensors: readonly Tensor[]): void;
  /** Leaves; may be called more than once. */
  close(): void;
}

/** Options of `joinNccl`. */
export interface JoinNcclOptions {
  /** Of `ncclUniqueId`, called by one of the processes. */
  readonly id: Uint8Array;
  /** Number of this process, from 0. */
  readonly rank: number;
  /** How many processes join, from 1. */
  readonly size: number;
}

const nccl = (): Collectives => backendOf('cuda').collectives!();

/** The version of NCCL, such as '2.27.3'. @throws {ExecutorError} `device` without NCCL or a GPU. */
export const ncclVersion = (): string => nccl().version;

/**
 * The name of a new communicator, 128 bytes: one process makes it and sends it to the others.
 *
 * @throws {ExecutorError} `device` without NCCL or a GPU.
 */
export const ncclUniqueId = (): Uint8Array => nccl().uniqueId();

/**
 * Joins the communicator of `id` as number `rank` of `size` processes, each with a GPU of its own, and waits until all have joined. NCCL is
 * loaded from `libnccl.so.2`, or the file that `DAG_NCCL_LIBRARY` names.
 *
 * @throws {ExecutorError} `device` without NCCL or a GPU, or where NCCL fails; `value` for other options.
 */
export function joinNccl(options: JoinNcclOptions): NcclCommunicator {
  checkOptions('joinNccl', options, ['id', 'rank', 'size']);
  const { id, rank, size } = options;
  if (!(id instanceof Uint8Array) || id.length !== ID_BYTES) {
    const given = id instanceof Uint8Array ? `${id.length} bytes` : named(id);
    throw new ExecutorError('value', `joinNccl: id is the ${ID_BYTES} bytes of ncclUniqueId, given ${given}`);
  }
  checkNumber('joinNccl', 'size', size, WHOLE_FROM_1);
  checkNumber('joinNccl', 'rank', rank, {
    what: `a whole number from 0 to ${size - 1}`,
    has: (x) => Number.isInteger(x) && x >= 0 && x < size,
  });
  const cuda = backendOf('cuda');
  const group = nccl().join(id, rank, size);
  let isOpen = true;
  return {
    allReduce: (tensors) => {
      const list = checkedList('allReduce', 'tensors', tensors);
      for (const x of list) {
        checkTensor('allReduce', x);
        refuseBf16('allReduce', x);
      }
      if (!isOpen) throw new ExecutorError('device', 'allReduce: the communicator is closed');
      if (list.length === 0) return;
      if (commonBackend('allReduce', list) !== cuda)
        throw new ExecutorError(
          'device',
          `allReduce: takes tensors on 'cuda', given one on '${list[0]!.device}'`,
        );
      group.sum(list.map((x) => x.storageToChange('allReduce')));
    },
    close: () => {
      if (isOpen) group.close();
      isOpen = false;
    },
  };
}
