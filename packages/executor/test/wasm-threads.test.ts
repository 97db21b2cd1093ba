/** Threads of the backend `wasm`: that they work, that results do not depend on them, and that they end. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext, runInThisContext } from 'node:vm';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from '@jest/globals';
import type { Backend, Storage } from '../src/backend.js';
import { wasmFile } from '../src/backends/wasm/file.js';
import { wasm } from '../src/backends/wasm/index.js';
import { WasmKernels, type WasmInstance } from '../src/backends/wasm/instance.js';
import { backendInfo } from '../src/index.js';
import { wasmIsMissing } from './devices.js';

const skipped = wasmIsMissing === null ? '' : ` (skipped: ${wasmIsMissing})`;
const wasmDescribe = wasmIsMissing === null ? describe : describe.skip;

const startedIn = ({ exports }: WasmInstance): number => (exports['dag_started'] as () => number)();

/** An instance, its backend, and what sets the number of threads. */
function load(): { instance: WasmInstance; backend: Backend; setThreads: (count: number) => void } {
  const instance = wasmFile();
  const entry = wasm(() => instance);
  return { instance, backend: entry.load().backend, setThreads: (count) => entry.setThreads!(count) };
}

function filled(backend: Backend, dtype: 'f32' | 'f64', length: number): Storage {
  const storage = backend.allocate(dtype, length);
  backend.write(
    storage,
    Float64Array.from({ length }, (_, i) => Math.sin(i)),
  );
  return storage;
}

/** The bits of products and of executed graphs. */
function work(backend: Backend): string {
  const [m, n, k] = [301, 270, 300];
  const product = (dtype: 'f32' | 'f64') => {
    const c = backend.allocate(dtype, m * n);
    const spec = { batch: 1, m, n, k, transposeA: true, transposeB: false };
    const strides = { strideA: 0, strideB: 0, strideC: 0 };
    const [a, b] = [filled(backend, dtype, m * k), filled(backend, dtype, k * n)];
    backend.matmul({ ...spec, ...strides }, a, b, { storage: c, accumulate: false });
    return [a, b, c];
  };
  const [depth, size] = [3, 5000];
  const fields = {
    V_mag: filled(backend, 'f64', 2 * depth * size),
    V_sign: filled(backend, 'f64', 2 * depth * size),
    O: filled(backend, 'f64', 2 * depth ** 2 * size),
    G: filled(backend, 'f64', depth * size),
  };
  const values = backend.allocate('f64', size);
  backend.dag({ depth, size, shared: false, inference: false, maxLog: 100 }, fields, values);
  const storages = [...product('f32'), ...product('f64'), values];
  const bits = storages.map((s) => Buffer.from(backend.readSync(s).buffer).toString('base64')).join();
  for (const storage of [...storages, ...Object.values(fields)]) backend.free(storage);
  return bits;
}

async function untilStarted(count: number, { instance, backend }: ReturnType<typeof load>): Promise<void> {
  const end = performance.now() + 30_000;
  while (startedIn(instance) < count) {
    if (performance.now() > end) throw new Error(`${startedIn(instance)} of ${count} threads started`);
    work(backend);
    await wait(10);
  }
}

wasmDescribe(`threads of wasm${skipped}`, () => {
  it('give the bits that one thread gives, and are started by work that is worth it', async () => {
    const loaded = load();
    const { instance, backend, setThreads } = loaded;
    setThreads(1);
    const expected = work(backend);
    setThreads(3);
    expect(startedIn(instance)).toBe(1);
    await untilStarted(3, loaded);
    for (const count of [3, 2, 1, 3, 3, 3]) {
      setThreads(count);
      expect(work(backend)).toBe(expected);
    }
  }, 60_000);

  it('leave a thread that traps alone: the kernel throws, and later ones are computed', async () => {
    const loaded = load();
    const { instance, backend, setThreads } = loaded;
    setThreads(3);
    await untilStarted(3, loaded);
    const expected = work(backend);
    const fill = instance.exports['dag_unary_f32_wasm'] as (...args: (number | bigint)[]) => void;
    const end = new WasmKernels(instance).buffer.byteLength;
    expect(() => fill(0n, end - 2 ** 20, end - 2 ** 20, BigInt(2 ** 24), 0, 0)).toThrow(
      WebAssembly.RuntimeError,
    );
    expect(work(backend)).toBe(expected);
  }, 60_000);

  it('end when JavaScript has collected the memory they work on', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const workers: Worker[] = [];
    const note = (worker: Worker): void => void workers.push(worker);
    // Jest's own `process` has no such events.
    const node = runInThisContext('process') as NodeJS.Process;
    node.on('worker', note);
    await (async () => {
      const loaded = load();
      loaded.setThreads(2);
      await untilStarted(2, loaded);
    })();
    node.off('worker', note);
    expect(workers).toHaveLength(1);
    const ended = once(workers[0]!, 'exit');
    const collect = setInterval(gc, 50);
    await ended;
    clearInterval(collect);
  }, 60_000);

  it('a memory that another thread has made grow is asked for again', () => {
    let [pages, shown] = [1, 1];
    const exports = {
      memory: {
        get buffer() {
          return new SharedArrayBuffer(shown * 65536);
        },
        grow: () => (shown = pages),
      },
      // Addresses are on pages that came since.
      dag_allocate: () => ++pages * 65536 - 128,
      dag_free: () => undefined,
      dag_fault: () => 0,
      dag_set_threads: () => undefined,
    };
    const kernels = new WasmKernels({ exports, threads: 2 });
    const address = kernels.allocate(128);
    expect(new Float32Array(kernels.buffer, address, 32)).toHaveLength(32);
  });
});

const dist = new URL('../dist/index.js', import.meta.url).href;

/** Runs a program with the package as it is installed, on wasm. */
function run(program: string, environment: Record<string, string> = {}) {
  const begin = `const executor = await import('${dist}'); executor.setDefaultDevice('wasm');
    function work({ matmul, randn, scope }) {
      const bits = [];
      for (let i = 0; i < 40; i++)
        scope(() => bits.push(matmul(randn([512, 256], { seed: [1, 2] }), randn([256, 512], { seed: [1, 3] })).dataSync()[0]));
      return new Set(bits);
    }`;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', `${begin}\n${program}`],
    { env: { ...process.env, DAG_NUM_THREADS: '3', ...environment }, encoding: 'utf8', timeout: 50_000 },
  );
  return { status, signal, stdout: stdout.trim(), stderr };
}

wasmDescribe(`threads of wasm in a process${skipped}`, () => {
  const countWorkers = `let workers = 0; process.on('worker', () => workers++);`;

  it('are as many as DAG_NUM_THREADS says, and no more than one without work for them', () => {
    const program = `${countWorkers}
      executor.sum(executor.ones([1000])).item();
      const before = workers;
      work(executor);
      await new Promise((resolve) => setTimeout(resolve));
      console.log(executor.backendInfo().threads, before, workers);`;
    expect(run(program)).toEqual({ status: 0, signal: null, stdout: '3 0 2', stderr: '' });
    expect(run(program, { DAG_NUM_THREADS: '1' })).toMatchObject({ stdout: '1 0 0' });
    expect(run('', { DAG_NUM_THREADS: 'two' })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("DAG_NUM_THREADS is a whole number from 1 to 1024, given 'two'"),
    });
  }, 60_000);

  it('are one for each processor, at most eight, where nothing else is said', () => {
    expect(backendInfo('wasm')).toEqual({ device: 'wasm', threads: Math.min(8, availableParallelism()) });
  });

  it('end with the process, however that ends', () => {
    expect(run('work(executor);')).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    expect(run('work(executor); process.exit(3)')).toMatchObject({ status: 3, signal: null });
    const failed = run(`work(executor); throw new Error('not caught')`);
    expect(failed).toMatchObject({ status: 1, signal: null, stderr: expect.stringContaining('not caught') });
  }, 60_000);

  it('work in worker threads, each with its own, and end with these', () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const source = work + \`
        import('${dist}').then((executor) => {
          executor.setDefaultDevice('wasm');
          process.getBuiltinModule('node:worker_threads').parentPort.postMessage([...work(executor)]);
        });\`;
      const results = await Promise.all([1, 2].map(async () => {
        const worker = new Worker(source, { eval: true });
        const exit = new Promise((resolve) => worker.on('exit', resolve));
        const result = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
        return [await exit, result];
      }));
      const [[here]] = [[...work(executor)]];
      console.log(results.every(([code, [there, ...others]]) => code === 0 && there === here && others.length === 0));`;
    expect(run(program)).toEqual({ status: 0, signal: null, stdout: 'true', stderr: '' });
  }, 60_000);

  it('are left out where memory cannot be shared, or no worker can be made', () => {
    const noSharedMemory = `
      const { Memory } = WebAssembly;
      WebAssembly.Memory = class extends Memory {
        constructor(limits) {
          if (limits.shared) throw new RangeError('could not allocate memory');
          super(limits);
        }
      };
`;
    const text = `${noSharedMemory} const executor = await import('${dist}'); executor.setDefaultDevice('wasm');
      console.log(executor.backendInfo().threads, executor.sum(executor.ones([100_000])).item());`;
    const one = spawnSync(process.execPath, ['--input-type=module', '--eval', text], { encoding: 'utf8' });
    expect(one).toMatchObject({ status: 0, stdout: '1 100000\n', stderr: '' });
    const noWorkers = `process.getBuiltinModule('node:worker_threads').Worker = class { constructor() { throw new Error('denied'); } };`;
    expect(run(`${noWorkers} console.log(executor.backendInfo().threads, work(executor).size)`)).toEqual({
      status: 0,
      signal: null,
      stdout: '3 1',
      stderr: '',
    });
  }, 60_000);
});
