/**
 * Compiles kernels/cpu into native/<platform>-<arch>/dag_executor.so where a C++ compiler is found, and says so where
 * none is: the package then runs on its `reference` backend.
 *
 * Every source of kernels/cpu is compiled once for each variant of the instruction set, those of kernels/cpu/runtime
 * once. `--sanitize` makes the library of the sanitizer tests in native/sanitize instead.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const sources = join(packageFolder, 'kernels', 'cpu');
const { platform, arch } = process;
const sanitize = process.argv.includes('--sanitize');
const target = join(packageFolder, 'native', sanitize ? 'sanitize' : `${platform}-${arch}`);

const VARIANTS =
  arch === 'x64'
    ? {
        avx512: [
          '-mavx512f',
          '-mavx512dq',
          '-mavx512bw',
          '-mavx512vl',
          '-mavx2',
          '-mfma',
          '-mprefer-vector-width=512',
        ],
        avx2: ['-mavx2', '-mfma'],
        baseline: [],
      }
    : { baseline: [] };

const FLAGS = [
  ...['-std=c++17', '-fPIC', '-fvisibility=hidden', '-fno-exceptions', '-fno-rtti'],
  ...['-fno-math-errno', '-fno-trapping-math', '-Wall', '-Wextra', '-Wno-psabi', '-Werror'],
  ...(sanitize
    ? ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
    : ['-O3']),
];

/** Steps of graphs are exact: a product and a sum must not become one operation, which rounds once. */
const contraction = (source) => (basename(source) === 'dag.cpp' ? '-ffp-contract=off' : '-ffp-contract=fast');

const LINK = [
  ...(sanitize ? ['-fsanitize=address,undefined'] : []),
  ...(platform === 'linux'
    ? // nodelete: the workers of the pool run the library's code until the process ends.
      [
        '-static-libgcc',
        '-static-libstdc++',
        '-Wl,-z,nodelete',
        '-Wl,--no-undefined',
        '-Wl,--as-needed',
        '-pthread',
      ]
    : []),
];

function findCompiler() {
  for (const compiler of [process.env.CXX, 'c++', 'g++', 'clang++']) {
    if (!compiler) continue;
    try {
      execFileSync(compiler, ['--version'], { stdio: 'ignore' });
      return compiler;
    } catch {
      // Not this one.
    }
  }
  return null;
}

async function cppFiles(folder) {
  const names = await readdir(folder);
  return names.filter((name) => name.endsWith('.cpp')).map((name) => join(folder, name));
}

const run = promisify(execFile);

async function compile(compiler, objects) {
  const jobs = [
    ...(await cppFiles(join(sources, 'runtime'))).map((source) => ({ source, variant: '', flags: [] })),
    ...(await cppFiles(sources)).flatMap((source) =>
      Object.entries(VARIANTS).map(([variant, flags]) => ({
        source,
        variant: `-${variant}`,
        flags: [...flags, `-DDAG_VARIANT=${variant}`],
      })),
    ),
  ];
  const made = jobs.map(({ source, variant }) => join(objects, `${basename(source, '.cpp')}${variant}.o`));
  const queue = jobs.entries();
  const work = async () => {
    for (const [i, { source, flags }] of queue)
      await run(compiler, [...FLAGS, contraction(source), ...flags, '-c', source, '-o', made[i]]);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return made;
}

const compiler = ['linux', 'darwin'].includes(platform) ? findCompiler() : null;
if (!compiler) {
  console.log(
    'No C++ compiler was found: the native kernels are not built, the reference backend serves instead.',
  );
} else {
  const objects = join(target, `objects-${process.pid}`);
  await mkdir(objects, { recursive: true });
  try {
    const made = await compile(compiler, objects);
    // Renamed into place: a process that has the old library loaded keeps it.
    const library = join(objects, 'dag_executor.so');
    await run(compiler, ['-shared', ...made, ...LINK, '-o', library]);
    await rename(library, join(target, 'dag_executor.so'));
  } catch (error) {
    console.error(error.stderr || error);
    process.exitCode = 1;
  } finally {
    await rm(objects, { recursive: true });
  }
}
