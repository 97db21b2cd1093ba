import type { LibraryHandle } from 'koffi';
import { TrainError } from '../error.js';
import type { Launcher } from './launcher.js';

/** The functions of MPI that training uses, on the world communicator. Each throws `mpi` if MPI reports an error. */
export interface Mpi {
  /** The library's name and version: 'Open MPI v4.1.4', 'MPICH 4.0.2'. */
  readonly version: string;
  readonly rank: number;
  readonly size: number;
  /** Starts an in-place sum over all ranks. Returns a function that polls for completion; until it returns true, do not touch the values. */
  beginAllreduce(values: Float32Array | Float64Array): () => boolean;
  /** Overwrites the bytes with those of rank 0; all ranks must pass the same length. */
  broadcast(bytes: Uint8Array): void;
  /** Starts a barrier. Returns a function that polls whether all ranks have reached it. */
  beginBarrier(): () => boolean;
  /** Ends all ranks. */
  abort(exitCode: number): void;
  finalize(): void;
}

/** The constants of the C headers, which differ between the ABIs of Open MPI and MPICH. */
interface Abi {
  /** The C type of MPI_Comm, MPI_Datatype, MPI_Op, MPI_Errhandler and MPI_Request. */
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

/** In Open MPI, handles are the addresses of variables in the library. */
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
    // A library without these variables has MPICH's ABI.
    return MPICH_ABI;
  }
}

const SUCCESS = 0;
/** MPI_THREAD_FUNNELED: the process has several threads, but only this one calls MPI. */
const FUNNELED = 1;
const LONGEST_TEXT = 8192;
/** Counts in MPI have 32 bits. */
const LARGEST_COUNT = 2 ** 30;

/**
 * Loads the launcher's MPI library and joins its processes. Call it once per process.
 * @throws {TrainError} `mpi` if koffi or the library is missing, or the library belongs to another launcher.
 */
export async function joinMpi(launcher: Launcher): Promise<Mpi> {
  const koffi = await import('koffi').catch((error: Error) => {
    throw new TrainError(
      'mpi',
      `${launcher.description}, but koffi, which is needed to call MPI, cannot be loaded ` +
        `(${error.message.split('\n')[0]}); npm install koffi`,
      { cause: error },
    );
  });
  // UCX, which MPICH and Open MPI may use, tests its memory hooks by moving the end of the heap forth and back. If another
  // thread of Node allocates in between, its memory is lost, and the process ends with SIGSEGV: 3 of 80 short runs did.
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
  // A request handle is an address or a 32-bit number; 64 bits hold either.
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
      // `global`: Open MPI's plugins look up its functions among the global symbols.
      return { library: koffi.load(path, { global: true, lazy: true }), path };
    } catch (error) {
      problems.push(`${path}: ${(error as Error).message.split('\n')[0]}`);
    }
  throw new TrainError(
    'mpi',
    `${description}, but its library cannot be loaded (${problems.join('; ')}); ` +
      'set DAG_MPI_LIBRARY=<path of libmpi.so>',
  );
}
