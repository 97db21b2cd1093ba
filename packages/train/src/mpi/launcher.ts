import { TrainError } from '../error.js';

/** The MPI launcher that started this process. */
export interface Launcher {
  /** For messages: "mpirun of Open MPI started this process". */
  readonly description: string;
  /** Number of processes it started; null if it does not say. */
  readonly size: number | null;
  /** Number of processes it started on this machine; null if it does not say. */
  readonly localSize: number | null;
  /** Candidate names of its library, most likely first. */
  readonly libraries: readonly string[];
}

const OPEN_MPI = ['libmpi.so.40', 'libmpi.so'];
/** Debian's name, then that of MPICH itself, Intel MPI and others with its ABI. */
const MPICH = ['libmpich.so.12', 'libmpi.so.12', 'libmpi.so'];
/** Launchers by the variables in which they say how many processes there are, in all and on this machine. */
const KNOWN = [
  {
    ...{ name: 'Open MPI', libraries: OPEN_MPI },
    ...{ ofAll: 'OMPI_COMM_WORLD_SIZE', ofMachine: 'OMPI_COMM_WORLD_LOCAL_SIZE' },
  },
  { name: 'MPICH', libraries: MPICH, ofAll: 'PMI_SIZE', ofMachine: 'MPI_LOCALNRANKS' },
];

/**
 * Finds the launcher from environment variables; null if this process is alone. `DAG_MPI_LIBRARY` overrides the library.
 * @throws {TrainError} `mpi` if a variable with a number of processes is invalid.
 */
export function findLauncher(environment: Readonly<Record<string, string | undefined>>): Launcher | null {
  const found = knownLauncher(environment);
  if (!found || found.size === 1) return null;
  const library = environment['DAG_MPI_LIBRARY'];
  return library ? { ...found, libraries: [library] } : found;
}

function knownLauncher(environment: Readonly<Record<string, string | undefined>>): Launcher | null {
  const count = (name: string): number | null => {
    const text = environment[name];
    if (!text) return null;
    if (/^[1-9]\d*$/.test(text)) return Number(text);
    throw new TrainError('mpi', `the environment has ${name}=${text}; expected a whole number from 1`);
  };
  for (const { name, ofAll, ofMachine, libraries } of KNOWN) {
    const size = count(ofAll);
    const description = `mpirun of ${name} started this process`;
    if (size !== null) return { description, size, localSize: count(ofMachine), libraries };
  }
  if (environment['PMIX_RANK'] === undefined) return null;
  return {
    description: 'a launcher of MPI (PMIx) started this process',
    size: null,
    localSize: null,
    libraries: [...OPEN_MPI, ...MPICH.filter((name) => !OPEN_MPI.includes(name))],
  };
}
