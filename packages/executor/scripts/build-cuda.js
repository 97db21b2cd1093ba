/**
 * Compiles kernels/cuda with nvcc to native/cuda/<name>.fatbin: machine code for the architectures below and PTX for later
 * ones. Without nvcc it says so. Of each kernel it prints the most registers, spilled bytes and bytes of code over all architectures.
 *
 * `--emulator` compiles them with a C++ compiler instead, to native/cuda-emulated: a driver that runs them on the CPU for tests
 * (see kernels/cuda/emulator/cuda.h); `--sanitize` the same with AddressSanitizer and checks of conversions to whole numbers, to
 * native/cuda-sanitize. An output is kept
 * with the hash of all that it depends on, and made again where that has changed.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from './compiler.js';
import { writeKinds } from './kinds.js';
import { filesOf, hashOf, make, makeMissing, removeOld } from './make.js';

/**
 * PTX and the architectures whose machine code is made from it. One serves all that have tensor cores for bf16: most kernels ask
 * for nothing newer, and to make that of each takes several times as long (matmul.cu from compute_100: 49 seconds, from
 * compute_80: 5). The machine code of 80 also runs on 86 and 89, as NVIDIA's compatibility of minor versions has it.
 */
const ARCHITECTURES = new Map([
  [75, [75]],
  [80, [80, 90, 100, 120]],
]);
const NEWEST_PTX = 80;
/** Of one architecture alone, with instructions that neither an older nor a later one has. */
const ARCHITECTURE_OF = new Map([['matmul_warpgroup', '90a']]);

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const kernels = join(packageFolder, 'kernels');
const cuda = join(kernels, 'cuda');
const native = join(packageFolder, 'native');
const sanitize = process.argv.includes('--sanitize');
const emulate = sanitize || process.argv.includes('--emulator');

const allSources = (await filesOf(cuda, '.cu')).map((name) => join(cuda, name));
/** Without those that are for tests of the emulator. */
const sources = allSources.filter((source) => dirname(source) === cuda);
const kinds = await writeKinds();
const headers = [
  ...['dag_step.h', 'dag_hard.h', 'elementwise.h'].map((name) => join(kernels, name)),
  ...(await filesOf(cuda, '.h')).map((name) => join(cuda, name)),
  kinds.file,
];
const nameOf = (source) => basename(source, '.cu');
/** Steps of graphs are exact: a product and a sum must not become one operation, which rounds once. */
const isExact = (source) => nameOf(source) === 'dag';

/** Outputs in a folder of their own by hash, and what each is made of. */
async function outputsOf(folder, version, ending, files, flagsOf) {
  const outputs = files.map(async (source) => {
    const flags = flagsOf(source);
    const hash = await hashOf([version, flags.join(' ')], [...headers, source]);
    const name = basename(source).replace(/\.\w+$/, '');
    return {
      source,
      file: join(folder, `${name}-${hash}${ending}`),
      args: [...flags, '-I', kinds.folder, source],
    };
  });
  return Promise.all(outputs);
}

function nvccVersion() {
  try {
    return execFileSync('nvcc', ['--version'], { encoding: 'utf8' });
  } catch {
    return null;
  }
}

async function buildFatbins(version) {
  const target = join(native, 'cuda');
  const objects = join(target, 'objects');
  await mkdir(objects, { recursive: true });
  const targets = [...ARCHITECTURES].flatMap(([ptx, architectures]) => {
    const code = architectures.map((architecture) => `sm_${architecture}`);
    if (ptx === NEWEST_PTX) code.push(`compute_${ptx}`);
    return ['-gencode', `arch=compute_${ptx},code=[${code.join()}]`];
  });
  const targetsOf = (source) => {
    const only = ARCHITECTURE_OF.get(nameOf(source));
    return only ? ['-gencode', `arch=compute_${only},code=sm_${only}`] : targets;
  };
  const outputs = await outputsOf(objects, version, '.fatbin', sources, (source) => [
    ...['-fatbin', '-std=c++17', '-O3', '--compress-mode=size', '-Xptxas', '-v'],
    // Where the sources are checked, not where a user's newer compiler finds a new one.
    ...(process.env.CI ? ['-Werror', 'all-warnings'] : []),
    ...(isExact(source) ? ['-fmad=false'] : []),
    ...targetsOf(source),
  ]);
  // Machine code before it is packed.
  const kept = await mkdtemp(join(tmpdir(), 'dag-cuda-'));
  try {
    for (const output of outputs) {
      output.kept = join(kept, nameOf(output.source));
      await mkdir(output.kept);
      output.args.push('--keep', '--keep-dir', output.kept);
    }
    await makeMissing('nvcc', outputs, report);
  } finally {
    await rm(kept, { recursive: true });
  }
  for (const { source, file } of outputs) await copyFile(file, join(target, `${nameOf(source)}.fatbin`));
  await removeOld(objects, new Set(outputs.map(({ file }) => file)));
}

/**
 * Kernels in which no register may be spilled on architectures that have tensor cores for bf16, and what some spill nevertheless: of
 * heads wider than 64 in f64, the sums and the numbers being loaded are all the registers that a thread may have.
 */
const HOT = /^(?:matmul|warpgroup|layOut|dag|attention|linearBackward|layerNorm|embedding|adamW)/;
const HOT_SINCE = 80;
const SPILLED = { dagBackward4_f32: 16, dagBackward4_f64: 16, attentionGradKV4_f64: 84 };
/** Products, and the most bytes of their code, which must stay in the caches of instructions. */
const PRODUCT = /^(?:warpgroup|layOut|matmul)/;
const MOST_CODE = 40_000;

/** [kernel, bytes of its code] in a cubin: an ELF file with a section `.text.NAME` of each. */
function codeOf(cubin) {
  const [entry, count, names] = [58, 60, 62].map((at) => cubin.readUInt16LE(at));
  const header = (i) => Number(cubin.readBigUInt64LE(40)) + i * entry;
  const offset = (i) => Number(cubin.readBigUInt64LE(header(i) + 24));
  return Array.from({ length: count }, (_, i) => {
    const at = offset(names) + cubin.readUInt32LE(header(i));
    const name = cubin.toString('latin1', at, cubin.indexOf(0, at));
    return [name, Number(cubin.readBigUInt64LE(header(i) + 32))];
  })
    .filter(([name]) => name.startsWith('.text.'))
    .map(([name, bytes]) => [name.slice('.text.'.length), bytes]);
}

/**
 * What ptxas says of registers and spills, and the size of code, the most of all architectures for each kernel. What costs speed in hot
 * kernels is an error where the sources are checked.
 */
function report({ source: path, file, kept }, text) {
  const source = nameOf(path);
  const kernels = new Map();
  const faults = new Set();
  let kernel;
  for (const line of text.split('\n')) {
    const name = /Compiling entry function '(\w+)' for 'sm_(\d+)/.exec(line);
    const spilled = /(\d+) bytes spill stores/.exec(line);
    const used = /Used (\d+) registers/.exec(line);
    // Of products by warpgroups, between which registers are read or written.
    if (/serialized/.test(line)) faults.add(line);
    if (name) {
      kernel = {
        registers: 0,
        spilled: 0,
        code: 0,
        ...kernels.get(name[1]),
        name: name[1],
        architecture: Number(name[2]),
      };
      kernels.set(name[1], kernel);
    } else if (kernel && spilled) {
      const bytes = Number(spilled[1]);
      kernel.spilled = Math.max(kernel.spilled, bytes);
      if (HOT.test(kernel.name) && kernel.architecture >= HOT_SINCE && bytes > (SPILLED[kernel.name] ?? 0))
        faults.add(`${kernel.name} spills ${bytes} bytes on sm_${kernel.architecture}`);
    } else if (kernel && used) kernel.registers = Math.max(kernel.registers, Number(used[1]));
    else if (/warning|error/i.test(line)) console.error(line);
  }
  for (const name of readdirSync(kept).filter((name) => name.endsWith('.cubin')))
    for (const [kernel, bytes] of codeOf(readFileSync(join(kept, name)))) {
      const entry = kernels.get(kernel);
      if (!entry) continue;
      entry.code = Math.max(entry.code, bytes);
      if (PRODUCT.test(kernel) && bytes > MOST_CODE) faults.add(`${kernel} has ${bytes} bytes of code`);
    }
  console.log(`${source}.cu: most registers of a thread, bytes that it spills, and bytes of code`);
  for (const [name, { registers, spilled, code }] of kernels)
    console.log(
      `  ${name.padEnd(28)} ${String(registers).padStart(4)} ${String(spilled).padStart(5)} ${String(code).padStart(7)}`,
    );
  if (faults.size === 0) return;
  const said = [`${source}.cu would be slow:`, ...faults].join('\n  ');
  console.error(said);
  if (!process.env.CI) return;
  // Not found again by the next build.
  rmSync(file);
  throw new Error(`${source}.cu is slow`);
}

async function buildEmulator({ command, version }) {
  const target = join(native, sanitize ? 'cuda-sanitize' : 'cuda-emulated');
  const objects = join(target, 'objects');
  await mkdir(objects, { recursive: true });
  const sanitizers = sanitize
    ? [
        ...['-fsanitize=address,float-cast-overflow', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'],
        ...['-fsanitize-sections=dag_shared', '-g'],
      ]
    : [];
  const flags = [
    ...['-std=c++17', '-O2', '-fPIC', '-fvisibility=hidden', '-ffp-contract=off', '-DDAG_EMULATED'],
    ...['-Wall', '-Wextra', '-Wno-unknown-pragmas', '-Wno-psabi', ...sanitizers, '-x', 'c++', '-c'],
  ];
  const emulator = (await filesOf(join(cuda, 'emulator'), '.cpp')).map((name) =>
    join(cuda, 'emulator', name),
  );
  const outputs = await outputsOf(objects, version, '.o', [...allSources, ...emulator], () => flags);
  await makeMissing(command, outputs, (_, text) => text && console.error(text));
  const link = ['-static-libgcc', '-static-libstdc++', '-Wl,-Bsymbolic', ...sanitizers];
  const files = outputs.map(({ file }) => file);
  await make(command, ['-shared', ...files, ...link], join(target, 'libcuda.so'));
  // In place of machine code.
  for (const source of allSources)
    await writeFile(join(target, `${nameOf(source)}.fatbin`), `dag emulated module ${nameOf(source)}\0`);
  await removeOld(objects, new Set(files));
}

try {
  if (emulate) {
    const compiler = process.platform === 'linux' ? findCompiler() : { missing: 'only on Linux' };
    if ('command' in compiler) await buildEmulator(compiler);
    else if (sanitize) throw new Error(`the emulator of CUDA needs a C++ compiler (${compiler.missing})`);
  } else {
    const version = nvccVersion();
    if (version) await buildFatbins(version);
    else {
      console.log('The CUDA kernels are not built for want of nvcc.');
      // Not those of older sources.
      await rm(join(native, 'cuda'), { recursive: true, force: true });
    }
  }
} catch (error) {
  console.error(error.stderr || error);
  process.exitCode = 1;
}
