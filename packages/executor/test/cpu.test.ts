/** The library of the native kernels: how it is found, chosen and left. Each process runs the built package. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from '@jest/globals';
import { backendInfo, ExecutorError, setNumThreads } from '../src/index.js';
import { buildSync } from 'esbuild';
import { backendOf } from '../src/devices.js';
import { codeOf } from './code-of.js';
import { cpuIsMissing, isSanitized, wasmIsMissing } from './devices.js';

const dist = new URL('../dist/index.js', import.meta.url).href;
const noLibrary = fileURLToPath(new URL('../package.json', import.meta.url));
/** Of the tests' own environment only what was set to load a library that is not the package's. */
const { DAG_CPU_LIBRARY: tested } = process.env;

/** Runs an ES module in a process of its own; `executor` is the package in it. */
function run(program: string, environment: Record<string, string | undefined> = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DAG_'));
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', `const executor = await import('${dist}');\n${program}`],
    { env: { ...Object.fromEntries(inherited), ...environment }, encoding: 'utf8', timeout: 50_000 },
  );
  return { status, signal, stdout: stdout.trim(), stderr };
}

/** Prints what `expression` is as JSON, or the error that it throws. */
const print = (expression: string) => `
  try {
    console.log(JSON.stringify(${expression}));
  } catch (error) {
    console.log(JSON.stringify({ error: error.constructor.name, code: error.code, message: error.message }));
  }`;

const ask = (expression: string, environment?: Record<string, string>): unknown =>
  JSON.parse(run(print(expression), environment).stdout);

/** A function of JavaScript that runs kernels of every kind of work; its bits as text. */
const work = `
  function work({ causalAttention, executeWithGradients, linear, randn, reshape, scope, softmax }) {
    const a = randn([96, 64], { seed: [1, 0] });
    const weight = randn([192, 64], { seed: [1, 1] });
    const graph = {
      depth: 2,
      size: 300,
      V_mag: Float64Array.from({ length: 1200 }, (_, i) => (i % 17) / 4),
      V_sign: Float64Array.from({ length: 1200 }, (_, i) => (i % 3 ? 1 : -1)),
      O: Float64Array.of(1, 1, 0, 0, 0.5, 0, 1, 0),
      G: Float64Array.of(0.25, 1),
    };
    const { values, V_mag } = executeWithGradients(graph);
    const rows = scope(() => {
      const qkv = reshape(linear(a, weight), [2, 48, 192]);
      return softmax(causalAttention(qkv, { heads: 4 })).dataSync();
    });
    return [values, V_mag, rows].map((array) => Buffer.from(array.slice().buffer).toString('base64')).join();
  }`;

/** Bundles a copy of the package that is gone where the bundle runs: webpack writes the paths of the copy into the bundle. */
function webpackForNode(entry: string, outfile: string): void {
  const copy = mkdtempSync(join(tmpdir(), 'dag-executor-built-'));
  cpSync(dirname(entry), join(copy, 'dist'), { recursive: true });
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }');
  const options = {
    ...{ mode: 'production', target: 'node', entry: join(copy, 'dist', basename(entry)) },
    output: { path: dirname(outfile), filename: basename(outfile), library: { type: 'commonjs2' } },
    optimization: { minimize: false },
  };
  const program = `
    const webpack = require(${JSON.stringify(createRequire(import.meta.url).resolve('webpack'))});
    webpack(${JSON.stringify(options)}).run((error, stats) => {
      if (error || stats.hasErrors() || stats.hasWarnings()) throw error ?? new Error(stats.toString());
    });`;
  const { status, stderr } = spawnSync(process.execPath, ['--eval', program], { encoding: 'utf8' });
  rmSync(copy, { recursive: true });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}

/** What serves where the native kernels do not load, in Node. */
const fallback = wasmIsMissing === null ? 'wasm' : 'reference';

const skipped = cpuIsMissing === null ? '' : ` (skipped: ${cpuIsMissing})`;

describe('without native kernels', () => {
  const nowhere = { DAG_CPU_LIBRARY: '/nowhere/dag_executor.so' };

  it(`runs on ${fallback}, with one warning that says why`, () => {
    const program = `
      for (let i = 0; i < 3; i++) executor.zeros([2]);
      console.log(executor.backendInfo().device);`;
    for (const [library, why] of [
      [nowhere.DAG_CPU_LIBRARY, 'which does not exist'],
      [noLibrary, 'cannot be used'],
    ] as const) {
      const { status, stdout, stderr } = run(program, { DAG_CPU_LIBRARY: library });
      expect({ status, stdout }).toEqual({ status: 0, stdout: fallback });
      expect(stderr.match(/Warning:/g)).toHaveLength(1);
      expect(stderr).toContain(library);
      expect(stderr).toContain(why);
    }
  });

  it('refuses the device cpu, and says why', () => {
    expect(ask(`executor.zeros([2], { device: 'cpu' })`, nowhere)).toEqual({
      error: 'ExecutorError',
      code: 'device',
      message: 'DAG_CPU_LIBRARY is /nowhere/dag_executor.so, which does not exist',
    });
    expect(ask(`executor.backendInfo('cpu')`, { DAG_CPU_LIBRARY: noLibrary })).toMatchObject({
      error: 'ExecutorError',
      code: 'device',
      message: expect.stringContaining(`the native kernels of ${noLibrary} cannot be used: `),
    });
  });

  it('takes reference without a warning where it is asked for', () => {
    const { stdout, stderr } = run(
      `console.log(executor.zeros([2], { device: 'reference' }).device)`,
      nowhere,
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'reference', stderr: '' });
  });
});

describe('where loading native code goes wrong', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dag-executor-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['in a page with the `process` of a bundler', `globalThis.process = { env: {} };`],
    ['in a page without `process`', `delete globalThis.process;`],
    [
      'where `process` is that of another runtime',
      `globalThis.process = { env: {}, versions: { node: '20' } };`,
    ],
    [
      'where files may not be read',
      `process.getBuiltinModule = () => { throw new TypeError('not allowed') };`,
    ],
  ])('runs on reference %s, and refuses native devices by an ExecutorError', (_where, prelude) => {
    const program = `${prelude}
      await import('${new URL('cuda.js', dist).href}');
      for (let i = 0; i < 3; i++) executor.zeros([2]);
      console.log(executor.backendInfo().device);
      for (const device of ['cpu', 'cuda'])
        try {
          executor.zeros([2], { device });
        } catch (error) {
          console.log(device, error instanceof executor.ExecutorError, error.code);
        }`;
    const { status, stdout, stderr } = run(program);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: 'reference\ncpu true device\ncuda true device',
      stderr: expect.stringMatching(/runs on its reference backend, which is slow: .+\n/),
    });
    expect(stderr.match(/reference backend/g)).toHaveLength(1);
  });

  it(`runs on ${fallback} where the environment may not be read`, () => {
    const program = `
      const notAllowed = { get(_, name) { if (/^DAG_/.test(name)) throw new TypeError('not allowed') } };
      process.env = new Proxy({}, notAllowed);
      console.log(executor.zeros([2]).device);`;
    expect(run(program).stdout).toBe(fallback);
  });

  it(`runs on ${fallback} where koffi throws what is no Error`, () => {
    const program = `
      const builtin = process.getBuiltinModule;
      process.getBuiltinModule = (name) =>
        name === 'node:module' ? { createRequire: () => () => { throw 'no koffi for you' } } : builtin(name);
      console.log(executor.zeros([2]).device);`;
    expect(run(program).stdout).toBe(fallback);
  });

  it.each(['cjs', 'esm', 'webpack'] as const)(
    'in a bundle of the format %s finds what is installed beside it',
    (format) => {
      // In a project that has the package as a link, and one that has nothing.
      const installed = join(folder, format, 'node_modules', '@dag');
      mkdirSync(installed, { recursive: true });
      symlinkSync(fileURLToPath(new URL('..', dist)), join(installed, 'executor'));
      const file = format === 'esm' ? 'bundle.mjs' : 'bundle.cjs';
      const [entry, built] = [fileURLToPath(dist), join(folder, file)];
      if (format === 'webpack') webpackForNode(entry, built);
      else {
        const options = { entryPoints: [entry], bundle: true, outfile: built, format };
        buildSync({ ...options, platform: 'node', logLevel: 'error' });
      }
      const noKernels = `no native kernels for ${process.platform}-${process.arch}: `;
      for (const [place, device, reasons] of [
        [join(folder, format), fallback, [noKernels]],
        [folder, 'reference', [noKernels, '; dag_executor_threads.wasm is not there: ']],
      ] as const) {
        const outfile = join(place, file);
        if (outfile !== built) copyFileSync(built, outfile);
        const program = `
        const bundle = await import(${JSON.stringify(outfile)});
        const { zeros } = bundle.default ?? bundle;
        console.log(zeros([2]).device);`;
        const { status, stdout, stderr } = run(program);
        expect({ status, stdout }).toEqual({ status: 0, stdout: device });
        expect(stderr.match(/Warning: @dag\/executor runs on its/g)).toHaveLength(1);
        for (const why of reasons) expect(stderr).toContain(why);
      }
    },
  );

  it('is left out of a browser bundle of execute alone, and so is all of autograd', () => {
    const stdin = {
      contents: `export { execute } from '@dag/executor';`,
      resolveDir: fileURLToPath(new URL('..', dist)),
    };
    const { outputFiles } = buildSync({
      stdin,
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      write: false,
    });
    // 11.7 kB when this was written; one statement of a module that may have an effect keeps all that it names.
    expect(gzipSync(outputFiles[0]!.contents).length).toBeLessThan(12_500);
  });

  const { library } = cpuIsMissing === null ? backendInfo('cpu') : {};
  (library === undefined ? it.skip : it).each([
    ['is cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['is cut off in its header', (bytes: Buffer) => bytes.subarray(0, 40)],
    ['is for another processor', (bytes: Buffer) => bytes.fill(0xb7, 18, 19)],
    ['is empty', (bytes: Buffer) => bytes.subarray(0, 0)],
  ])(`runs on ${fallback} where the library %s${skipped}`, (_how, damage) => {
    const file = join(folder, 'dag_executor.so');
    writeFileSync(file, damage(readFileSync(library!)));
    const environment = { DAG_CPU_LIBRARY: file };
    const program = `console.log(executor.zeros([2]).device); ${print(`executor.backendInfo('cpu')`)}`;
    const { status, stdout, stderr } = run(program, environment);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: expect.stringMatching(new RegExp(`^${fallback}\\n{"error":"ExecutorError","code":"device",`)),
      stderr: expect.stringContaining(file),
    });
  });

  it.each([
    [{ DAG_NUM_THREADS: '0' }, 'DAG_NUM_THREADS'],
    [{ DAG_CPU_VARIANT: 'AVX2' }, 'DAG_CPU_VARIANT'],
    [{ DAG_CPU_VARIANT: 'AVX2', DAG_CPU_LIBRARY: '/nowhere/dag_executor.so' }, 'DAG_CPU_VARIANT'],
  ])('throws for a wrong setting where no device is named: %p', (environment, name) => {
    expect(ask('executor.zeros([2])', environment as Record<string, string>)).toEqual({
      error: 'ExecutorError',
      code: 'value',
      message: expect.stringContaining(name),
    });
  });
});

if (tested !== undefined)
  it('runs on the library that DAG_CPU_LIBRARY names', () => {
    expect(backendInfo('cpu').library).toBe(tested);
  });

const withKernels = cpuIsMissing === null ? describe : describe.skip;
withKernels(`with native kernels${skipped}`, () => {
  const { threads, variant } = cpuIsMissing === null ? backendInfo('cpu') : { threads: 1, variant: '' };
  afterAll(() => setNumThreads(threads));

  it('takes them where no device is named, and says what it runs on', () => {
    expect(ask('executor.backendInfo()')).toEqual({
      device: 'cpu',
      threads: expect.any(Number),
      variant,
      library: expect.stringMatching(/dag_executor\.so$/),
    });
    expect(backendInfo('reference')).toEqual({ device: 'reference', threads: 1 });
  });

  const unsanitized = isSanitized ? it.skip : it;
  unsanitized('has memory of 4 GiB and more, which is not touched here, or says that there is none', () => {
    for (const size of [2 ** 30, 2 ** 31])
      expect(['none', 'memory']).toContain(codeOf(() => backendOf('cpu').allocate('f32', size)));
  });

  // Only there has a process no more memory than it is allowed.
  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('says so where there is no memory for a kernel to work in, and goes on', () => {
    // In a process of 3 GB; a block of graphs of this depth takes twice as much.
    const program = `
      const depth = 2600;
      const field = (length) => new Float64Array(length);
      const graph = { depth, size: 1, V_mag: field(2 * depth), V_sign: field(2 * depth), O: field(2 * depth ** 2), G: field(depth) };
      const codes = [executor.execute, executor.executeWithGradients].map((run) => {
        try { run(graph, { backend: 'cpu' }); } catch (error) { return error.code; }
      });
      console.log(...codes, executor.sum(executor.ones([3], { device: 'cpu' })).item());`;
    const limited = `ulimit -v 3000000 && exec "$0" --input-type=module --eval "const executor = await import('${dist}');$1"`;
    const { status, signal, stdout } = spawnSync('sh', ['-c', limited, process.execPath, program], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    });
    expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: 'memory memory 3\n' });
  });

  it('runs on as many threads as DAG_NUM_THREADS says', () => {
    expect(ask('executor.backendInfo()', { DAG_NUM_THREADS: '3' })).toMatchObject({ threads: 3 });
  });

  it.each(['0', '-1', '1.5', 'two', '1025', '2147483648', '1e300'])('refuses DAG_NUM_THREADS=%s', (count) => {
    expect(ask(`executor.backendInfo('cpu')`, { DAG_NUM_THREADS: count })).toEqual({
      error: 'ExecutorError',
      code: 'value',
      message: `DAG_NUM_THREADS is a whole number from 1 to 1024, given '${count}'`,
    });
  });

  it('runs on as many threads as setNumThreads says', () => {
    setNumThreads(3);
    expect(backendInfo('cpu').threads).toBe(3);
    for (const count of [0, 1.5, NaN, -2, 1025, 2 ** 31, 2 ** 32 + 1, Infinity])
      expect(() => setNumThreads(count)).toThrow(ExecutorError);
    expect(backendInfo('cpu').threads).toBe(3);
  });

  const variants = ['avx512', 'avx2', 'baseline'];
  it('runs on every variant of the instruction set that the processor has', () => {
    const own = variants.slice(variants.indexOf(variant!));
    const program = '[executor.backendInfo().variant, executor.sum(executor.ones([1000])).item()]';
    for (const name of own) expect(ask(program, { DAG_CPU_VARIANT: name })).toEqual([name, 1000]);
  });

  it('refuses a variant that the processor has not', () => {
    expect(ask(`executor.backendInfo('cpu')`, { DAG_CPU_VARIANT: 'mmx' })).toMatchObject({
      error: 'ExecutorError',
      code: 'value',
      message: expect.stringMatching(/^DAG_CPU_VARIANT is one of .*baseline on this processor, given 'mmx'$/),
    });
  });

  it('gives the same bits to worker threads that run kernels at the same time', () => {
    const program = `${work}
      import { Worker } from 'node:worker_threads';
      const source = ${JSON.stringify(work)} + \`
        import('${dist}').then((executor) => {
          const results = Array.from({ length: 20 }, () => work(executor));
          process.getBuiltinModule('node:worker_threads').parentPort.postMessage([...new Set(results)]);
        });\`;
      const workers = Array.from({ length: 4 }, () => new Worker(source, { eval: true }));
      const results = await Promise.all(
        workers.map((worker) => new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))),
      );
      console.log(executor.backendInfo().device, new Set([work(executor), ...results.flat()]).size);`;
    const environment = { DAG_NUM_THREADS: '3', DAG_CPU_LIBRARY: tested };
    expect(run(program, environment)).toEqual({ status: 0, signal: null, stdout: 'cpu 1', stderr: '' });
  });

  it('ends with the process, however that ends', () => {
    const begin = `${work} work(executor);`;
    const threads = { DAG_NUM_THREADS: '4', DAG_CPU_LIBRARY: tested };
    expect(run(begin, threads)).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    expect(run(`${begin} process.exit(3)`, threads)).toMatchObject({ status: 3, signal: null });
    const failed = run(`${begin} throw new Error('not caught')`, threads);
    expect(failed).toMatchObject({ status: 1, signal: null, stderr: expect.stringContaining('not caught') });
  });

  it('outlives a worker thread that alone had it loaded', () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const source = ${JSON.stringify(work)} + \`import('${dist}').then((executor) => { work(executor); });\`;
      const worker = new Worker(source, { eval: true });
      const code = await new Promise((resolve) => worker.on('exit', resolve));
      // Its threads go on to wait for work, in code that must still be there.
      await new Promise((resolve) => setTimeout(resolve, 100));
      console.log(code);`;
    const environment = { DAG_NUM_THREADS: '4', DAG_CPU_LIBRARY: tested };
    expect(run(program, environment)).toEqual({ status: 0, signal: null, stdout: '0', stderr: '' });
  });
});
