/**
 * Compiles kernels/cpu and kernels/wasm into native/wasm/dag_executor.wasm and dag_executor_threads.wasm where Clang with the target
 * wasm32-wasi and its libc are found (Debian: clang lld wasi-libc libclang-rt-14-dev-wasm32 libc++-14-dev-wasm32), and says so where
 * they are not. The first module imports nothing; the second one a shared memory, and a function that makes workers.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeKinds } from './kinds.js';
import { filesOf, hashOf, make, makeMissing, removeOld } from './make.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const kernels = join(packageFolder, 'kernels');
const target = join(packageFolder, 'native', 'wasm');
const objects = join(target, 'objects');

const TARGET = '--target=wasm32-wasi';
const FLAGS = [
  ...[TARGET, '-O3', '-msimd128', '-std=c++17', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden'],
  ...['-fno-math-errno', '-fno-trapping-math', '-Wall', '-Wextra', '-Wno-bitwise-conditional-parentheses'],
  '-DDAG_VARIANT=wasm',
];
/** Steps of graphs are exact; see build-native.js. */
const contraction = (source) => (basename(source) === 'dag.cpp' ? '-ffp-contract=off' : '-ffp-contract=fast');
// stack-first: a stack that overflows traps, and does not write over other data.
const LINK = [
  ...[TARGET, '-mexec-model=reactor', '-nostartfiles', '-Wl,--no-entry', '-Wl,--export-dynamic'],
  ...['-Wl,--strip-all', '-Wl,--stack-first', '-Wl,-z,stack-size=1048576'],
];

/** The modules: sources of kernels/wasm, further flags to compile these with, and to link with. */
const MODULES = [
  { output: join(target, 'dag_executor.wasm'), runtime: ['runtime', 'serial'], flags: [], link: [] },
  {
    output: join(target, 'dag_executor_threads.wasm'),
    runtime: ['runtime', 'pool'],
    flags: ['-matomics', '-mbulk-memory'],
    link: [
      // What has no atomics, the kernels and wasi-libc, is linked all the same: runtime.cpp calls the allocator from one thread at a time.
      ...[
        '-Wl,--shared-memory',
        '-Wl,--import-memory',
        '-Wl,--no-check-features',
        '-Wl,--export=__stack_pointer',
      ],
      // As in src/backends/wasm/threads.ts.
      ...['-Wl,--initial-memory=4194304', '-Wl,--max-memory=4294967296'],
    ],
  },
];

/** The compiler and its version; or what is missing, tried with a program that needs both libraries. */
async function findCompiler() {
  const command = process.env.DAG_WASM_CXX || 'clang++';
  try {
    const version = execFileSync(command, ['--version'], { encoding: 'utf8', stdio: 'pipe' });
    execFileSync(command, [...LINK, '-x', 'c++', '-', '-o', join(objects, 'probe')], {
      input:
        '#include <cstdlib>\n#include <cmath>\nextern "C" void* probe(double x) { return malloc(std::exp(x)); }',
      stdio: 'pipe',
    });
    return { command, version };
  } catch (error) {
    return {
      missing: String(error.stderr || error.message)
        .trim()
        .split('\n')[0],
    };
  }
}

const said = (text) => text && console.error(text);

async function build({ command, version }) {
  const inFolder = async (folder, ending) =>
    (await filesOf(join(kernels, folder), ending)).map((name) => join(kernels, folder, name));
  const isRuntime = (path) => path.startsWith(join(kernels, 'cpu', 'runtime'));
  const kinds = await writeKinds();
  const headers = [
    ...['dag_step.h', 'dag_hard.h', 'elementwise.h'].map((name) => join(kernels, name)),
    ...(await inFolder('cpu', '.h')),
    kinds.file,
  ];
  const kernelSources = (await inFolder('cpu', '.cpp')).filter((path) => !isRuntime(path));
  const objectOf = async (path, more = []) => {
    const flags = [...FLAGS, contraction(path), ...more];
    const hash = await hashOf([version, flags.join(' ')], [...headers, path]);
    return {
      file: join(objects, `${basename(path, '.cpp')}-${hash}.o`),
      args: [...flags, '-I', kinds.folder, '-c', path],
    };
  };
  const shared = await Promise.all(kernelSources.map((path) => objectOf(path)));
  const modules = await Promise.all(
    MODULES.map(async ({ output, runtime, flags, link }) => {
      const own = runtime.map((name) => objectOf(join(kernels, 'wasm', `${name}.cpp`), flags));
      return { output, link, parts: [...shared, ...(await Promise.all(own))] };
    }),
  );
  const needed = new Map(modules.flatMap(({ parts }) => parts.map((part) => [part.file, part])));
  await makeMissing(command, [...needed.values()], (_, text) => said(text));
  for (const { output, link, parts } of modules)
    said(await make(command, [...LINK, ...link, ...parts.map(({ file }) => file)], output));
  await removeOld(objects, new Set(needed.keys()));
}

await mkdir(objects, { recursive: true });
const compiler = await findCompiler();
if ('command' in compiler) {
  try {
    await build(compiler);
  } catch (error) {
    console.error(error.stderr || error);
    process.exitCode = 1;
  }
} else {
  console.log(`The kernels in WebAssembly are not built for want of a compiler (${compiler.missing}).`);
  // No modules of older sources.
  for (const { output } of MODULES) await rm(output, { force: true });
}
