/**
 * Compiles kernels/cpu into native/<platform>-<arch>/dag_executor.so where a C++ compiler is found, and says so where
 * none is: the package then runs on its `reference` backend.
 *
 * Every source of kernels/cpu is compiled once for each variant of the instruction set, those of kernels/cpu/runtime
 * once. An object is named by the hash of all that it depends on and is kept: what has not changed is not compiled
 * again. `--sanitize` makes the library of the sanitizer tests in native/sanitize instead, of the widest variant alone:
 * instrumented code takes long to compile, and the tests run that one.
 */
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from './compiler.js';
import { writeKinds } from './kinds.js';
import { filesOf, hashOf, makeLibrary } from './make.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const kernels = join(packageFolder, 'kernels');
const { platform, arch } = process;
const sanitize = process.argv.includes('--sanitize');
const target = join(packageFolder, 'native', sanitize ? 'sanitize' : `${platform}-${arch}`);
const objects = join(target, 'objects');

const VARIANTS =
  arch === 'x64'
    ? {
        avx512: [
          ...['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma'],
          '-mprefer-vector-width=512',
        ],
        avx2: ['-mavx2', '-mfma'],
        baseline: [],
      }
    : { baseline: [] };

/** The variant that the tests run: the widest of this processor, as runtime/machine.cpp finds it. */
function widestVariant() {
  const features = arch === 'x64' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  return features.includes(' avx512vl') ? 'avx512' : features.includes(' avx2') ? 'avx2' : 'baseline';
}

const built = Object.entries(VARIANTS).filter(([variant]) => !sanitize || variant === widestVariant());

// expensive-optimizations: GCC makes one operation of a product and a sum there, which the kernels rely on for equal bits.
// Warnings are errors where the sources are checked, not where a user's newer compiler finds a new one.
const FLAGS = [
  ...['-std=c++17', '-fPIC', '-fvisibility=hidden', '-fno-exceptions', '-fno-rtti'],
  ...['-fno-math-errno', '-fno-trapping-math', '-Wall', '-Wextra', '-Wno-psabi'],
  ...(sanitize ? ['-O1', '-fexpensive-optimizations', '-g', '-Werror', '-fno-omit-frame-pointer'] : ['-O3']),
];
const SANITIZERS = sanitize
  ? ['-fsanitize=address,undefined,float-cast-overflow', '-fno-sanitize-recover=all']
  : [];

/** Steps of graphs are exact: a product and a sum must not become one operation, which rounds once. */
const contraction = (source) => (basename(source) === 'dag.cpp' ? '-ffp-contract=off' : '-ffp-contract=fast');

// nodelete: the workers of the pool run the library's code until the process ends (macOS: see runtime/pool.cpp).
// Apple's linker has none of these options; it refuses undefined symbols by itself.
const LINK =
  platform === 'linux'
    ? [
        ...['-static-libgcc', '-static-libstdc++', '-pthread'],
        ...['-Wl,-z,nodelete', '-Wl,--no-undefined', '-Wl,--as-needed'],
      ]
    : [];

/** The objects of the library: where each lies, and the arguments that make it. */
async function objectsOf(compiler) {
  const runtime = join('cpu', 'runtime');
  const headers = (await filesOf(kernels, '.h')).filter((name) => !name.startsWith('cuda'));
  const kinds = await writeKinds();
  const sources = (await filesOf(join(kernels, 'cpu'), '.cpp')).map((name) => join('cpu', name));
  const object = async (source, variant, variantFlags) => {
    const path = join(kernels, source);
    const flags = [...FLAGS, ...SANITIZERS, contraction(source), ...variantFlags];
    const files = [...headers.map((name) => join(kernels, name)), kinds.file, path];
    const hash = await hashOf([compiler.version, flags.join(' ')], files);
    return {
      file: join(objects, `${basename(source, '.cpp')}${variant}-${hash}.o`),
      args: [...flags, '-I', kinds.folder, '-c', path],
    };
  };
  return Promise.all(
    sources.flatMap((source) =>
      source.startsWith(runtime)
        ? [object(source, '', [])]
        : built.map(([variant, flags]) =>
            object(source, `-${variant}`, [...flags, `-DDAG_VARIANT=${variant}`]),
          ),
    ),
  );
}

async function build({ command, ...compiler }) {
  await mkdir(objects, { recursive: true });
  const needed = await objectsOf(compiler);
  const link = (files) => ['-shared', ...files, ...SANITIZERS, ...LINK, '-lm'];
  await makeLibrary(command, needed, link, join(target, 'dag_executor.so'), objects);
}

const compiler = ['linux', 'darwin'].includes(platform)
  ? findCompiler()
  : { missing: `none for ${platform}` };
if ('command' in compiler) {
  try {
    await build(compiler);
  } catch (error) {
    console.error(error.stderr || error);
    process.exitCode = 1;
  }
} else {
  console.log(`The native kernels are not built for want of a C++ compiler (${compiler.missing}).`);
  // The reference backend serves instead, not a library of older sources.
  await rm(join(target, 'dag_executor.so'), { force: true });
  if (sanitize) process.exitCode = 1;
}
