import type { LibraryHandle } from 'koffi';
import { TrainError } from '../error.js';
import type { Launcher } from './launcher.js';

/** The few functions of MPI that training uses, on all processes of a launcher. Each throws `mpi` where MPI reports an error. */
export interface Mpi {
  /** As the library calls itself: 'Open MPI v4.1.4', 'MPICH 4.0.2'. */
  readonly version: string;
  readonly rank: number;
  readonly size: number;
  /** Sums of all ranks in place of the values; → whether they are there by now. Until then the values must not be touched. */
  beginAllreduce(values: Float32Array | Float64Array): () => boolean;
  /** The bytes of rank 0 in place of those of the others, of which there are as many. */
  broadcast(bytes: Uint8Array): void;
  /** Says that this rank has come here; → whether all have by now. */
  beginBarrier(): () => boolean;
  /** Ends all ranks. */
  abort(exitCode: number): void;
  finalize(): void;
}

/** What the two families of libraries have agreed on by name only: types, numbers and addresses of the C headers. */
interface Abi {
  /** Of MPI_Comm, MPI_Datatype, MPI_Op, MPI_Errhandler and MPI_Request. */
  readonly handle: 'void *' | 'int';
  readonly world: unknown;
  readonly byte: unknown;
  readonly float: unknown;
  readonly double: unknown;
  readonly sum: unknown;
  readonly errorsReturn: unknown;
  /** MPI_IN_PLACE and MPI_STATUS_IGNORE, as addresses. */
  readonly inPlace: bigint;
  readonly ignoredStatus: bigint;
}

/** Handles of Open MPI are addresses of its variables. */
function openMpiAbi(library: LibraryHandle): Abi {
  const handle = (name: string): unknown => library.symbol(`ompi_${name}`);
  return {
    handle: 'void *',
    world: handle('mpi_comm_world'),
    byte: handle('mpi_byte'),
    float: handle('mpi_float'),
    double: handle('mpi_double'),
    sum: handle('mpi_op_sum'),
    errorsReturn: handle('mpi_errors_return'),
    inPlace: 1n,
    ignoredStatus: 0n,
  };
}

/** The ABI that MPICH, Intel MPI, MVAPICH and Cray MPT share (https://www.mpich.org/abi/). */
const MPICH_ABI: Abi = {
  handle: 'int',
  world: 0x44000000,
  byte: 0x4c00010d,
  float: 0x4c00040a,
  double: 0x4c00080b,
  sum: 0x58000003,
  errorsReturn: 0x54000001,
  inPlace: -1n,
  ignoredStatus: 1n,
};

function abiOf(library: LibraryHandle): Abi {
  try {
    return openMpiAbi(library);
  } catch {
    // A library without these variables.
    return MPICH_ABI;
  }
}

const SUCCESS = 0;
/** MPI_THREAD_FUNNELED: there are other threads, and only this one calls MPI. */
const FUNNELED = 1;
const LONGEST_TEXT = 8192;
/** MPI counts in 32 bits. */
const LARGEST_COUNT = 2 ** 30;

/**
 * Loads the launcher's MPI and joins its processes; to be called once in a process.
 * @throws {TrainError} `mpi` where koffi or the library is missing, or belongs to another launcher.
 */
export async function joinMpi(launcher: Launcher): Promise<Mpi> {
  const koffi = await import('koffi').catch((error: Error) => {
    throw new TrainError(
      'mpi',
      `${launcher.description}, but koffi, which MPI is called through, cannot be loaded ` +
        `(${error.message.split('\n')[0]}); npm install koffi`,
      { cause: error },
    );
  });
  // UCX, which MPICH and Open MPI may stand on, tries its hooks on memory by moving the end of the heap there and back. Another
  // thread of Node that has taken memory in between loses it, and the process ends by SIGSEGV: 3 of 80 short runs did.
  process.env['UCX_MEM_EVENTS'] ??= 'no';
  const { library, path } = openLibrary(koffi.default, launcher);
  const { handle, ...abi } = abiOf(library);
  const out = (type: string) => koffi.default.out(koffi.default.pointer(type));

  const textOf = (call: (text: Uint8Array, length: [number]) => number): string => {
    const [text, length]: [Uint8Array, [number]] = [new Uint8Array(LONGEST_TEXT), [0]];
    return call(text, length) === SUCCESS ? Buffer.from(text.subarray(0, length[0])).toString().trim() : '';
  };
  const errorString = library.func('MPI_Error_string', 'int', ['int', 'void *', out('int')]);
  const checked = (name: string, types: readonly (string | ReturnType<typeof out>)[]) => {
    const call = library.func(name, 'int', [...types]);
    return (...values: unknown[]): void => {
      const code = call(...values) as number;
      if (code === SUCCESS) return;
      const reason = textOf((text, length) => errorString(code, text, length) as number);
      throw new TrainError('mpi', `${name} of ${path}: ${reason || `error ${code}`}`);
    };
  };

  const init = checked('MPI_Init_thread', ['void *', 'void *', 'int', out('int')]);
  const setErrorHandler = checked('MPI_Comm_set_errhandler', [handle, handle]);
  const commRank = checked('MPI_Comm_rank', [handle, out('int')]);
  const commSize = checked('MPI_Comm_size', [handle, out('int')]);
  const iallreduce = checked('MPI_Iallreduce', [
    'intptr_t',
    'void *',
    'int',
    handle,
    handle,
    handle,
    'void *',
  ]);
  const bcast = checked('MPI_Bcast', ['void *', 'int', handle, 'int', handle]);
  const ibarrier = checked('MPI_Ibarrier', [handle, 'void *']);
  const test = checked('MPI_Test', ['void *', out('int'), 'intptr_t']);
  const abort = checked('MPI_Abort', [handle, 'int']);
  const finalize = checked('MPI_Finalize', []);
  const libraryVersion = library.func('MPI_Get_library_version', 'int', ['void *', out('int')]);

  init(null, null, FUNNELED, [0]);
  setErrorHandler(abi.world, abi.errorsReturn);
  const number = (call: (comm: unknown, result: [number]) => void): number => {
    const result: [number] = [0];
    call(abi.world, result);
    return result[0];
  };
  const toSum = (values: Float32Array | Float64Array): unknown[] => {
    const type = values instanceof Float32Array ? abi.float : abi.double;
    return [abi.inPlace, values, values.length, type, abi.sum, abi.world];
  };
  // A handle is an address or a number of 32 bits: either has room.
  const newRequest = (): BigInt64Array => new BigInt64Array(1);
  const isDone = (request: BigInt64Array): boolean => {
    const done: [number] = [0];
    test(request, done, abi.ignoredStatus);
    return done[0] !== 0;
  };
  const version = textOf((text, length) => libraryVersion(text, length) as number);
  return {
    version: version.split(/[,\n]/)[0]!.replace(/ Version:\s*/, ' '),
    rank: number(commRank),
    size: number(commSize),
    beginAllreduce: (values) => {
      const request = newRequest();
      iallreduce(...toSum(values), request);
      return () => isDone(request);
    },
    broadcast: (bytes) => {
      for (let from = 0; from < bytes.length; from += LARGEST_COUNT) {
        const part = bytes.subarray(from, from + LARGEST_COUNT);
        bcast(part, part.length, abi.byte, 0, abi.world);
      }
    },
    beginBarrier: () => {
      const request = newRequest();
      ibarrier(abi.world, request);
      return () => isDone(request);
    },
    abort: (exitCode) => abort(abi.world, exitCode),
    finalize: () => finalize(),
  };
}

function openLibrary(
  koffi: (typeof import('koffi'))['default'],
  { description, libraries }: Launcher,
): { library: LibraryHandle; path: string } {
  const problems: string[] = [];
  for (const path of libraries)
    try {
      // Open MPI's plugins look for its functions among those that are visible to all.
      return { library: koffi.load(path, { global: true, lazy: true }), path };
    } catch (error) {
      problems.push(`${path}: ${(error as Error).message.split('\n')[0]}`);
    }
  throw new TrainError(
    'mpi',
    `${description}, but its library cannot be loaded (${problems.join('; ')}); ` +
      'DAG_MPI_LIBRARY=<path of libmpi.so> says where it is',
  );
}
