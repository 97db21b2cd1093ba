/** The backend `wasm`: its memory, how it is found, and that a page runs it. That it computes as the others do is in their tests. */
import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { browserDescribe, openBrowser } from '../../train/test/browser.js';
import type { Storage } from '../src/backend.js';
import { backendOf } from '../src/devices.js';
import { dataOf } from '../src/backends/host.js';
import { oneThreadFile, wasmFile } from '../src/backends/wasm/file.js';
import { wasm as wasmBackend } from '../src/backends/wasm/index.js';
import { WasmKernels } from '../src/backends/wasm/instance.js';
import {
  backendInfo,
  execute,
  executeWithGradients,
  ExecutorError,
  matmul,
  randn,
  scope,
  sum,
  type DagTensors,
} from '../src/index.js';
import { cpuIsMissing, wasmIsMissing } from './devices.js';

const skipped = wasmIsMissing === null ? '' : ` (skipped: ${wasmIsMissing})`;
const wasmDescribe = wasmIsMissing === null ? describe : describe.skip;
const backend = 'wasm';
const MIB = 2 ** 20;

/** Plans of one step, a product of two numbers. */
function products(size: number): DagTensors {
  return {
    depth: 2,
    size,
    V_mag: Float64Array.from({ length: 4 * size }, (_, i) => [3, i, 0, 0][i % 4]!),
    V_sign: new Float64Array(4 * size).fill(1),
    O: Float64Array.of(1, 1, 0, 0, 0, 0, 1, 0),
    G: Float64Array.of(0, 1),
  };
}

const bufferOf = (storage: Storage): ArrayBufferLike => dataOf(storage).buffer;
const modules = [
  ['with threads', wasmFile],
  ['of one thread', oneThreadFile],
] as const;

const memoryDescribe = wasmIsMissing === null ? describe.each(modules) : describe.skip.each(modules);
memoryDescribe(`memory of wasm %s${skipped}`, (_, instantiate) => {
  const kernels = wasmIsMissing === null ? new WasmKernels(instantiate()) : (null as never);
  const wasm = wasmIsMissing === null ? wasmBackend(instantiate).load().backend : (null as never);

  it('keeps the values of tensors when it grows', () => {
    const first = wasm.allocate('f64', 1000);
    const values = Float64Array.from({ length: 1000 }, (_, i) => i);
    wasm.write(first, values);
    const before = bufferOf(first);
    wasm.free(wasm.allocate('f32', before.byteLength / 4));
    expect(bufferOf(first)).not.toBe(before);
    expect(before.byteLength).toBe(instantiate === wasmFile ? 64 * 65536 : 0);
    expect(wasm.readSync(first)).toEqual(values);
    const copy = wasm.allocate('f64', 1000);
    wasm.cast(first, { storage: copy, accumulate: false });
    expect(wasm.readSync(copy)).toEqual(values);
  });

  it('reads its operands where the memory has grown between two kernels of an operation', () => {
    const [size, repeated] = [39_000, 600];
    const filled = (length: number, value: number) => {
      const storage = wasm.allocate('f32', length);
      wasm.fill(storage, value);
      return storage;
    };
    const [a, b, gradY] = [filled(repeated, 2), filled(size, 0.5), filled(size, 1)];
    const [gradA, gradB] = [filled(repeated, 0), filled(size, 0)];
    const memoryOf = () => bufferOf(gradA);
    const block = () => void wasm.allocate('f32', 240);
    const blocksUntilItGrows = (): number => {
      const before = memoryOf();
      for (let count = 1; ; count++) {
        block();
        if (memoryOf() !== before) return count;
      }
    };
    blocksUntilItGrows();
    // Nearly to the end of what it grows by: the sum for a needs more than that to work in.
    for (let left = blocksUntilItGrows() - 3; left > 0; left--) block();
    const before = memoryOf();
    const [shape, strides] = [
      [65, 600],
      [
        [0, 1],
        [600, 1],
      ],
    ];
    const target = (storage: Storage) => ({ storage, accumulate: false });
    wasm.binaryBackward('mul', { shape, strides }, a, b, gradY, target(gradA), target(gradB));
    expect(memoryOf()).not.toBe(before);
    expect(new Set(wasm.readSync(gradA))).toEqual(new Set([32.5]));
    expect(new Set(wasm.readSync(gradB))).toEqual(new Set([2]));
  });

  it('says so where there is no room, and goes on', () => {
    const full = expect.objectContaining({ name: 'ExecutorError', code: 'memory' });
    expect(() => wasm.allocate('f32', 2 ** 30 + 1)).toThrow(full);
    expect(() => kernels.allocate(2 ** 33)).toThrow(full);
    wasm.free(wasm.allocate('f32', 3));
  });

  it('says so where there is none for a kernel to work in, and goes on', () => {
    const depth = 300;
    const addresses = [2 * depth, 2 * depth, 2 * depth ** 2, depth, 1].map((n) => [
      kernels.allocate(8 * n),
      n,
    ]);
    const taken: number[] = [];
    for (let bytes = 2 ** 31; bytes >= MIB;)
      try {
        taken.push(kernels.allocate(bytes));
      } catch {
        bytes /= 2;
      }
    const fields = addresses.map(([address, n]) => new Float64Array(kernels.buffer, address, n).fill(1));
    const run = () => kernels.scratchKernel('dag_f64', 'pppppiiiid')(...fields, depth, 1, 0, 0, Infinity);
    fields[4]!.fill(7);
    expect(run).toThrow('out of memory: wasm has no room for what dag_f64 works in');
    expect([...fields[4]!]).toEqual([7]);
    taken.forEach((address) => kernels.free(address));
    run();
    expect([...fields[4]!]).not.toEqual([7]);
    addresses.forEach(([address]) => kernels.free(address!));
  });

  it('says so where a kernel knows no kind, or is given an array of JavaScript too long to be a setting', () => {
    const unary = kernels.kernel('unary_f32', 'ippidd');
    const address = new Float32Array(kernels.buffer, kernels.allocate(64), 4);
    expect(() => unary(99, address, address, 4, 0, 0)).toThrow('wasm: the kernel unary_f32 knows no kind 99');
    expect(() => unary(0, new Float32Array(2000), address, 4, 0, 0)).toThrow(ExecutorError);
    expect(() => kernels.kernel('nothing_f32', 'p')).toThrow(/has no dag_nothing_f32_wasm/);
  });
});

wasmDescribe(`memory of calls on wasm${skipped}`, () => {
  it('gives what calls worked in back at once, without waiting for the collector', () => {
    const graphs = products(50_000);
    const out = { values: new Float64Array(graphs.size) };
    // 100 times 4 MB in and out are more than the 64 MiB that are looked at.
    const begin = memoryOfWasm();
    for (let i = 0; i < 100; i++) {
      execute(graphs, { backend });
      executeWithGradients(graphs, { backend, out });
    }
    expect(memoryOfWasm() - begin).toBeLessThan(64 * MIB);
  });

  function memoryOfWasm(): number {
    const storage = backendOf(backend).allocate('f32', 1);
    const { byteLength } = bufferOf(storage);
    backendOf(backend).free(storage);
    return byteLength;
  }
});

const root = fileURLToPath(new URL('..', import.meta.url));
const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  html: 'text/html',
  wasm: 'application/wasm',
};

/** Serves the package as it is installed; with `?plain` a file has no type that says what it is. */
function serve(): Server {
  return createServer(({ url }, response) => {
    const { pathname, search } = new URL(url!, 'http://host');
    if (pathname === '/isolated') {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    if (pathname === '/' || pathname === '/isolated')
      return void response.setHeader('content-type', 'text/html').end('<!doctype html>');
    const type = TYPES[Object.keys(TYPES).find((ending) => pathname.endsWith(ending)) ?? ''];
    if (type && search !== '?plain') response.setHeader('content-type', type);
    createReadStream(root + pathname)
      .on('error', () => response.writeHead(404).end())
      .pipe(response);
  });
}

wasmDescribe(`loadWasm${skipped}`, () => {
  let server: Server;
  let origin: string;
  beforeAll(async () => {
    server = serve();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  /** What a program prints that has the package as it is where there is no Node. */
  function run(program: string): Promise<string> {
    const text = `
      const executor = await import(${JSON.stringify(new URL('../dist/portable.js', import.meta.url).href)});
      const { loadWasm } = await import(${JSON.stringify(new URL('../dist/wasm.js', import.meta.url).href)});
      ${program}`;
    // Not spawnSync: this process is the server.
    return import('node:child_process').then(
      ({ execFile }) =>
        new Promise((resolve, reject) =>
          execFile(process.execPath, ['--input-type=module', '--eval', text], (error, stdout) =>
            error ? reject(error) : resolve(stdout.trim()),
          ),
        ),
    );
  }

  it.each(['', '?plain'])(
    'takes the file from where it is said to be%s, and wasm from then on',
    async (how) => {
      const url = `${origin}/native/wasm/dag_executor.wasm${how}`;
      const program = `
      console.log(executor.backendInfo().device);
      await loadWasm({ url: ${JSON.stringify(url)} });
      await loadWasm();
      console.log(executor.backendInfo().device, executor.sum(executor.ones([1000])).item());`;
      expect(await run(program)).toBe('reference\nwasm 1000');
    },
  );

  it.each([
    ['/nowhere.wasm', 'the server answered 404'],
    ['/package.json', ''],
    ['/native/wasm/dag_executor_threads.wasm', 'this page is not cross-origin isolated'],
  ])('says why %s cannot be used', async (path, why) => {
    const program = `
      await loadWasm({ url: ${JSON.stringify(origin + path)} }).catch(({ name, code, message }) =>
        console.log(name, code, message));
      console.log(executor.backendInfo().device);`;
    const printed = await run(program);
    expect(printed).toMatch(/^ExecutorError device loadWasm: http.* cannot be used: .*\nreference$/);
    expect(printed).toContain(why);
  });

  it('says how to give the address of the file where it is not beside the code', async () => {
    // Here it cannot be fetched, because its address begins with file:.
    const printed = await run('await loadWasm().catch(({ message }) => console.log(message));');
    expect(printed).toContain('Pass the address of the file: loadWasm({ url })');
    for (const way of [
      "optimizeDeps: { exclude: ['@dag/executor'] }",
      "loader: { '.wasm': 'file' }",
      'with Rollup copy',
    ])
      expect(printed).toContain(way);
  });

  it('is needed where there is no Node: naming wasm before it is an error that says so', async () => {
    const program = `
      try { executor.ones([2], { device: 'wasm' }); } catch ({ code, message }) { console.log(code, message); }`;
    expect(await run(program)).toMatch(/^device .*await loadWasm\(\) of '@dag\/executor\/wasm'/);
  });

  browserDescribe('in a page', () => {
    const threads = Math.min(8, availableParallelism());
    it.each([
      ['', 'on one thread', 1],
      ['/isolated', 'and is cross-origin isolated, on all threads', threads],
    ])('%s computes what it computes here, %s', async (path, _, threads) => {
      const browser = await openBrowser();
      try {
        const page = await browser.newPage();
        await page.goto(origin + path);
        const here = work({ backend, matmul, randn, executeWithGradients, scope, sum }, products(1000));
        const there = await page.evaluate(
          async (source: string, graphs: string) => {
            const executor = (await import(
              '/dist/portable.js' as string
            )) as typeof import('../src/index.js');
            const { loadWasm } = (await import('/dist/wasm.js' as string)) as typeof import('../src/wasm.js');
            const before = executor.backendInfo().device;
            await loadWasm();
            const run = new Function(`return ${source}`)() as typeof work;
            const { depth, size, ...fields } = JSON.parse(graphs) as Record<string, number[]> & DagTensors;
            const arrays = Object.entries(fields).map(([name, field]) => [
              name,
              Float64Array.from(field as never),
            ]);
            const tensors = { depth, size, ...Object.fromEntries(arrays) } as DagTensors;
            return {
              before,
              after: executor.backendInfo(),
              numbers: run({ ...executor, backend: 'wasm' }, tensors),
            };
          },
          work.toString(),
          JSON.stringify(products(1000), (_, value: unknown) =>
            value instanceof Float64Array ? [...value] : value,
          ),
        );
        expect(there).toEqual({ before: 'reference', after: { device: 'wasm', threads }, numbers: here });
        const product = await page.evaluate(productBits, origin);
        for (let i = 0; i < 500 && page.workers().length < threads - 1; i++)
          expect(await page.evaluate(productBits, origin)).toBe(product);
        expect(page.workers()).toHaveLength(threads - 1);
        for (let i = 0; i < 10; i++) expect(await page.evaluate(productBits, origin)).toBe(product);
      } finally {
        await browser.close();
      }
    });
  });
});

/** A number of the bits of a product that is work for all threads. Runs in a page. */
async function productBits(origin: string): Promise<number> {
  const { matmul, randn, scope } = (await import(
    `${origin}/dist/portable.js`
  )) as typeof import('../src/index.js');
  const product = scope(() =>
    matmul(randn([400, 300], { seed: [1, 2] }), randn([300, 200], { seed: [3, 4] })).dataSync(),
  );
  return new Uint32Array(product.buffer).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 0);
}

/** Values, gradients and a small training, in numbers. Runs in a page as well: it names nothing from outside. */
function work(
  {
    backend,
    matmul,
    randn,
    executeWithGradients,
    scope,
    sum,
  }: Pick<typeof import('../src/index.js'), 'matmul' | 'randn' | 'executeWithGradients' | 'scope' | 'sum'> & {
    backend: 'wasm';
  },
  graphs: DagTensors,
): number[] {
  const { values, V_mag } = executeWithGradients(graphs, { backend });
  const weight = randn([16, 8], { seed: [1, 0], device: backend });
  weight.requiresGrad = true;
  const losses: number[] = [];
  for (let step = 0; step < 5; step++)
    scope(() => {
      weight.zeroGrad();
      const y = matmul(randn([32, 16], { seed: [2, step], device: backend }), weight);
      const loss = sum(matmul(y, randn([8, 1], { seed: [3, step], device: backend })));
      loss.backward();
      losses.push(loss.item(), ...weight.grad!.dataSync().slice(0, 4));
    });
  return [...values.slice(0, 100), ...V_mag.slice(0, 100), ...losses];
}

wasmDescribe(`in Node${skipped}`, () => {
  it('is there by itself, and taken where the native kernels are not', () => {
    expect(backendInfo(backend)).toMatchObject({ device: 'wasm' });
    const program = `
      const { backendInfo } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
      console.log(backendInfo().device);`;
    const device = (environment: object) =>
      spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
        env: { ...process.env, ...environment },
        encoding: 'utf8',
      }).stdout.trim();
    if (cpuIsMissing === null) expect(device({})).toBe('cpu');
    expect(device({ DAG_CPU_LIBRARY: '/nowhere' })).toBe('wasm');
  });
});
