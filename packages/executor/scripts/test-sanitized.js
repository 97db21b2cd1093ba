/**
 * Runs the executor's tests on kernels that are built with AddressSanitizer and UndefinedBehaviorSanitizer, those of CUDA
 * on their emulator. The first
 * fault ends the process with a report of where it is. Needs GCC: Node is not built with the sanitizer, so its runtime is
 * loaded before all else.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from './compiler.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const root = join(packageFolder, '..', '..');

function node(args, environment) {
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } };
  const { status, signal } = spawnSync(process.execPath, args, options);
  if (signal) console.error(`ended by ${signal}`);
  if (status !== 0) process.exit(status ?? 1);
}

function sanitizerRuntime() {
  const { command } = findCompiler();
  const path = execFileSync(command, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  if (isAbsolute(path)) return path;
  console.error(`libasan.so is missing: ${command} does not bring GCC's AddressSanitizer`);
  process.exit(1);
}

for (const build of ['build-native.js', 'build-cuda.js'])
  node([join(packageFolder, 'scripts', build), '--sanitize']);
node(
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    // A process for each file: what one has freed is kept by the sanitizer, to notice that it is used again.
    ...['--maxWorkers=2', '--workerIdleMemoryLimit=0', 'packages/executor/test'],
  ],
  {
    DAG_CPU_LIBRARY: join(packageFolder, 'native', 'sanitize', 'dag_executor.so'),
    // The emulator of CUDA with blocks of memory of their very size, and threads the other way round.
    DAG_CUDA_EMULATOR: 'cuda-sanitize',
    DAG_CUDA_NO_CACHE: '1',
    DAG_CUDA_EMULATOR_ORDER: 'reverse',
    LD_PRELOAD: sanitizerRuntime(),
    // Node frees little of what it has when it ends. Tests ask for more memory than there is: the allocator says no to that, as
    // it does without the sanitizer.
    ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  },
);
