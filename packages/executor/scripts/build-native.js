/**
 * Compiles kernels/cpu into native/<platform>-<arch>/dag_executor.so where a C++ compiler is found, and says so where
 * none is: the package then runs on its `reference` backend.
 *
 * Every source of kernels/cpu is compiled once for each variant of the instruction set, those of kernels/cpu/runtime
 * once. An object is named by the hash of all that it depends on and is kept: what has not changed is not compiled
 * again. `--sanitize` makes the library of the sanitizer tests in native/sanitize instead, of the widest variant alone:
 * instrumented code takes long to compile, and the tests run that one.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findCompiler } from './compiler.js';

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
const SANITIZERS = sanitize ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'] : [];

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

async function filesOf(folder, ending) {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith(ending)).sort();
}

/** What every object depends on besides its source and flags: the compiler and all headers. */
async function hashOfCommon(compiler) {
  const hash = createHash('sha256').update(compiler.version);
  for (const name of await filesOf(kernels, '.h'))
    hash.update(name).update(await readFile(join(kernels, name)));
  return hash;
}

/** The objects of the library: where each lies, and the arguments that make it. */
async function objectsOf(compiler) {
  const common = await hashOfCommon(compiler);
  const runtime = join('cpu', 'runtime');
  const sources = (await filesOf(join(kernels, 'cpu'), '.cpp')).map((name) => join('cpu', name));
  const object = async (source, variant, variantFlags) => {
    const path = join(kernels, source);
    const flags = [...FLAGS, ...SANITIZERS, contraction(source), ...variantFlags];
    const hash = common
      .copy()
      .update(flags.join(' '))
      .update(await readFile(path));
    const name = `${basename(source, '.cpp')}${variant}-${hash.digest('hex').slice(0, 16)}.o`;
    return { file: join(objects, name), args: [...flags, '-c', path] };
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

/** Runs the compiler and puts its output in place whole: of two builds at once, or of one that was stopped, too. */
async function make(compiler, args, output) {
  const part = `${output}.${process.pid}`;
  const { stderr } = await promisify(execFile)(compiler.command, [...args, '-o', part]);
  if (stderr) console.error(stderr);
  await rename(part, output);
}

async function build(compiler) {
  await mkdir(objects, { recursive: true });
  const needed = await objectsOf(compiler);
  const missing = needed.filter(({ file }) => !existsSync(file)).values();
  const work = async () => {
    for (const { file, args } of missing) await make(compiler, args, file);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const files = needed.map(({ file }) => file);
  await make(compiler, ['-shared', ...files, ...SANITIZERS, ...LINK], join(target, 'dag_executor.so'));
  await removeOld(new Set(files));
}

/** Of what this build did not need, what no other build that runs now can need either. */
async function removeOld(needed) {
  for (const name of await readdir(objects)) {
    const file = join(objects, name);
    const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (!needed.has(file) && Date.now() - made > 3_600_000) await rm(file, { force: true });
  }
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
