/** The backend cuda: its driver, its memory, what it says where something is missing or fails, and the emulator itself. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Storage } from '../src/backend.js';
import { attention } from '../src/backends/cuda/attention.js';
import { CudaDevice } from '../src/backends/cuda/device.js';
import { indexing } from '../src/backends/cuda/indexing.js';
import { Kernels } from '../src/backends/cuda/kernels.js';
import { addressOf, Allocator, memory } from '../src/backends/cuda/memory.js';
import { products } from '../src/backends/cuda/products.js';
import { rowSums } from '../src/backends/cuda/sums.js';
import { packWalk } from '../src/backends/cuda/walk.js';
import { backendOf } from '../src/devices.js';
import {
  add,
  backendInfo,
  clipGradNorm,
  dropout,
  embedding,
  ExecutorError,
  linear,
  matmul,
  mul,
  randn,
  recordStep,
  reshape,
  scope,
  setMatmulPrecision,
  sum,
  tensor,
  zeros,
  type Device,
  type MatmulPrecision,
  type Tensor,
} from '../src/index.js';
import { joinNccl, ncclUniqueId, ncclVersion } from '../src/cuda.js';
import { cudaIsMissing, isSanitized, missing } from './devices.js';
import { emulator } from './emulator.js';

const dist = pathToFileURL(fileURLToPath(new URL('../dist/index.js', import.meta.url))).href;
const folder = mkdtempSync(join(tmpdir(), 'dag-cuda-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Arguments of Node that run a module's text, with the built package as `executor` and `cuda`. */
const args = (program: string): string[] => [
  '--input-type=module',
  '--eval',
  `const cuda = await import('${new URL('cuda.js', dist).href}');\nconst executor = await import('${dist}');\n${program}`,
];

/** Runs a module's text in a Node of its own; → what it prints and how it ends. */
function run(program: string, environment: Record<string, string | undefined> = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args(program), {
    ...{ env: { ...process.env, ...environment }, encoding: 'utf8' as const, timeout: 60_000 },
  });
  return { status, signal, stdout: stdout.trim(), stderr };
}

/** The same beside others: → its output. */
const runBeside = async (
  program: string,
  environment: Record<string, string | undefined>,
): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, args(program), {
    env: { ...process.env, ...environment },
    timeout: 60_000,
  });
  return stdout;
};

/** What `expression` is, or the error that it throws. */
function ask(expression: string, environment: Record<string, string | undefined> = {}): unknown {
  const { stdout, stderr } = run(
    `const show = (value) => console.log(JSON.stringify(value));
    try { show(await (async () => ${expression})()); }
    catch ({ name, code, message }) { show({ name, code, message }); }`,
    environment,
  );
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

const deviceError = (message: RegExp) => ({
  name: 'ExecutorError',
  code: 'device',
  message: expect.stringMatching(message),
});
const make = `executor.zeros([2], { device: 'cuda' }).device`;

describe('without a driver or a device', () => {
  it('refuses the device cuda, and says why', () => {
    expect(ask(make, { DAG_CUDA_DRIVER: '/nowhere/libcuda.so' })).toEqual(
      deviceError(/^no NVIDIA driver: \/nowhere\/libcuda\.so cannot be loaded/),
    );
    const noDriver = join(folder, 'text.so');
    writeFileSync(noDriver, 'text');
    expect(ask(make, { DAG_CUDA_DRIVER: noDriver })).toEqual(deviceError(/^no NVIDIA driver: .*text\.so/));
  });

  it('takes cpu or reference where no device is named', () => {
    expect(ask('executor.backendInfo().device')).not.toBe('cuda');
  });
});

const onEmulator = cudaIsMissing === null && process.env['DAG_TEST_CUDA'] !== 'device';
// The emulator has NCCL's functions, too.
if (onEmulator) process.env['DAG_NCCL_LIBRARY'] = process.env['DAG_CUDA_DRIVER'];
const ncclIsMissing = cudaIsMissing ?? missing(ncclVersion);
const withNccl = ncclIsMissing === null ? it : it.skip;

const present = cudaIsMissing === null ? describe : describe.skip;
present(`on any cuda${cudaIsMissing === null ? '' : ` (skipped: ${cudaIsMissing})`}`, () => {
  it('reads asynchronously, while JavaScript goes on', async () => {
    const t = tensor(
      Float64Array.from({ length: 1000 }, (_, i) => i),
      [1000],
      { device: 'cuda' },
    );
    const reading = mul(t, t).data();
    // What is queued later does not change what was asked for.
    t.set(new Float64Array(1000));
    let turns = 0;
    const count = setInterval(() => turns++, 0);
    const squares = await reading;
    clearInterval(count);
    expect(squares[31]).toBe(961);
    expect(await tensor([], [0], { device: 'cuda' }).data()).toEqual(new Float32Array(0));
  });

  it('writes and reads more than its staging memory holds', () => {
    const values = Float32Array.from({ length: 3_000_001 }, (_, i) => i % 65_521);
    const t = tensor(values, [values.length], { device: 'cuda' });
    expect(Buffer.from(t.dataSync().buffer).equals(Buffer.from(values.buffer))).toBe(true);
  });

  it('refuses indices that the host has written, as the other devices do', () => {
    const table = zeros([4, 2], { device: 'cuda' });
    const index = (values: number[]) => tensor(values, [values.length], { dtype: 'i32', device: 'cuda' });
    expect(() => embedding(table, index([0, 4])).shape).toThrow(
      expect.objectContaining({ code: 'value', message: 'embedding: index 4 is not in 0 … 3' }),
    );
    expect(index([1]).dataSync()).toEqual(Int32Array.of(1));
  });

  it('lets a NaN through to the norm of the gradient, and leaves the gradient as it is', () => {
    const w = tensor([1, 2], [2], { device: 'cuda', requiresGrad: true });
    sum(mul(w, tensor([NaN, 3], [2], { device: 'cuda' }))).backward();
    expect(clipGradNorm([w], 1).item()).toBeNaN();
    expect(w.grad!.dataSync()).toEqual(Float32Array.of(NaN, 3));
  });

  it.each([
    ['high', 2 ** -10],
    ['medium', 2 ** -7],
  ] as const)('multiplies on tensor cores: %s', (precision, unit) => {
    const [m, n, k] = [150, 137, 75];
    for (const transposed of [false, true]) {
      const a = randn([m, k], { seed: [1, 1], device: 'cuda' });
      const b = randn(transposed ? [n, k] : [k, n], { seed: [2, 2], device: 'cuda' });
      const product = () => (transposed ? linear(a, b) : matmul(a, b)).dataSync();
      const expected = product();
      setMatmulPrecision(precision);
      const actual = product();
      setMatmulPrecision('highest');
      let worst = 0;
      for (let i = 0; i < m * n; i++) worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!));
      // Two rounded factors a term, terms of about 1, errors of random signs.
      expect(worst).toBeLessThan(6 * unit * Math.sqrt(k));
      expect(worst).toBeGreaterThan(unit / 100);
    }
  });

  /** Whole numbers from −4 to 4, which bf16 has, and whose sums f32 has: products of them are exact. */
  function whole(
    shape: readonly [number, number],
    step: number,
    device: Device,
    requiresGrad = false,
  ): Tensor {
    const data = new Float32Array(shape[0] * shape[1]);
    for (let i = 0; i < data.length; i++) data[i] = ((i * step) % 9) - 4;
    return tensor(data, shape, { device, requiresGrad });
  }

  /** The bits of `results` on tensor cores are those of `cpu`. */
  function expectExact(
    results: (device: Device) => Tensor[],
    precisions: readonly MatmulPrecision[] = ['high', 'medium'],
  ): void {
    const expected = results('cpu').map((t) => t.dataSync());
    for (const precision of precisions) {
      setMatmulPrecision(precision);
      const actual = results('cuda').map((t) => t.dataSync());
      setMatmulPrecision('highest');
      for (const [i, numbers] of actual.entries())
        expect(Buffer.compare(new Uint8Array(numbers.buffer), new Uint8Array(expected[i]!.buffer))).toBe(0);
    }
  }

  const BOTH: readonly MatmulPrecision[] = ['high', 'medium'];
  // Warpgroups take 'medium' only of large products, whose rounded operands pay, 'high' at any size where k is a multiple of four. What
  // is left over of a tile is the same in a small product as in the large one below it.
  it.each<[number, number, number, readonly MatmulPrecision[]]>([
    [1, 1, 1, BOTH],
    [129, 4, 65, BOTH],
    [300, 260, 36, BOTH],
    // 3 rows and fewer than half of the columns of a last tile; lines of a multiple of 16 bytes, of k for one product alone.
    [259, 362, 300, BOTH],
    [1027, 1130, 300, ['medium']],
    // Rows of half a tile, more than half of the columns; lines that begin anywhere, one number in the last tile along k.
    [188, 394, 257, BOTH],
    [700, 1930, 257, ['medium']],
    // Whole tiles alone.
    [384, 512, 256, BOTH],
    [1152, 1024, 256, ['medium']],
  ])('makes %d × %d results of sums of %d on tensor cores: %j', (m, n, k, precisions) => {
    expectExact((device) => {
      const x = whole([m, k], 7, device);
      const bias = whole([1, n], 2, device);
      return [
        linear(x, whole([n, k], 5, device), reshape(bias, [n]), { residual: whole([m, n], 4, device) }),
        matmul(x, whole([k, n], 5, device)),
      ];
    }, precisions);
  });

  const gradientsOf =
    (rows: number, n: number, k: number, ofX = true) =>
    (device: Device): Tensor[] => {
      const w = whole([n, k], 5, device, true);
      const x = whole([rows, k], 7, device, ofX);
      linear(x, w).backward(whole([rows, n], 11, device));
      const b = whole([n, k], 7, device, true);
      const matrices = reshape(whole([2 * 128, n], 5, device), [2, 128, n]);
      matmul(matrices, b).backward(reshape(whole([2 * 128, k], 11, device), [2, 128, k]));
      return [w.grad!, b.grad!, ...(x.grad ? [x.grad] : [])];
    };

  it.each([
    [100, 260, 132],
    [452, 260, 132],
    [640, 256, 512],
  ])('makes gradients on tensor cores, of %d rows and of two matrices, %d × %d', (rows, n, k) => {
    expectExact(gradientsOf(rows, n, k));
  });

  it('makes gradients of large weights on tensor cores, of many rows and of many matrices', () => {
    expectExact(gradientsOf(449, 1030, 1025, false), ['medium']);
  });

  it.each([
    [36, 'f32'],
    [35, 'f32'],
    [3, 'f64'],
  ] as const)(
    'adds positions to rows of %d and drops in one kernel, with the bits of one op after the other, in %s',
    (n, dtype) => {
      const of = (shape: number[], seed: number, requiresGrad = true) =>
        randn(shape, { seed: [seed, 3], dtype, device: 'cuda', requiresGrad });
      const index = tensor([3, 0, 4, 4, 1, 9], [2, 3], { dtype: 'i32', device: 'cuda' });
      const seed = [tensor([5], [], { dtype: 'f64', device: 'cuda' }), 2] as const;
      const [gradY, options] = [of([2, 3, n], 3, false), { dropout: 0.4, seed }];
      const results = (make: (table: Tensor, positions: Tensor) => Tensor) => {
        const [table, positions] = [of([10, n], 1), of([3, n], 2)];
        const [y, trace] = backendOf('cuda')
          .recorder()!
          .trace(() => make(table, positions));
        y.backward(gradY);
        const tensors = [y, table.grad!, positions.grad ?? zeros([0])];
        return { numbers: tensors.map((t) => [...t.dataSync()]), kernels: trace.length };
      };
      const whole = results((table, positions) => embedding(table, index, { positions, ...options }));
      expect(whole.kernels).toBe(1);
      expect(whole.numbers).toEqual(
        results((table, positions) => dropout(add(embedding(table, index), positions), 0.4, seed)).numbers,
      );
      expect(results((table) => embedding(table, index, options)).numbers).toEqual(
        results((table) => dropout(embedding(table, index), 0.4, seed)).numbers,
      );
    },
  );

  describe('an activation between two linear layers', () => {
    interface Chain {
      readonly activation: 'gelu' | 'geluTanh';
      readonly dtype?: 'f32' | 'f64';
      /** Of what is between the layers, on `cuda`. */
      readonly storage?: 'bf16';
      /** How many layers take the activation's results. */
      readonly uses?: number;
    }

    function chain(device: Device, { activation, dtype = 'f32', storage, uses = 1 }: Chain) {
      const random = (shape: number[], seed: number, requiresGrad = true) =>
        randn(shape, { seed: [seed, 1], dtype, device, requiresGrad });
      const leaves = [
        random([90, 36], 1),
        random([140, 36], 2),
        random([140], 3),
        random([52, 140], 4),
      ] as const;
      const [x, w, bias, v] = leaves;
      const hidden = linear(x, w, bias, {
        activation,
        ...(storage && device === 'cuda' && { dtype: storage }),
      });
      const outputs = Array.from({ length: uses }, () => linear(hidden, v, null, { dtype }));
      const y = outputs.reduce((a, b) => add(a, b));
      return { leaves, hidden, backward: () => y.backward(random([90, 52], 5, false)) };
    }

    /** Gradients of two backward passes, which add up. */
    function gradients(device: Device, of: Chain): Float64Array[] {
      const { leaves, backward } = chain(device, of);
      backward();
      backward();
      return leaves.map((leaf) => Float64Array.from(leaf.grad!.dataSync()));
    }

    it.each<[Chain, MatmulPrecision, number]>([
      [{ activation: 'gelu' }, 'highest', 2 ** -20],
      [{ activation: 'geluTanh', dtype: 'f64' }, 'highest', 2 ** -48],
      [{ activation: 'geluTanh' }, 'high', 2 ** -10],
      [{ activation: 'gelu' }, 'medium', 2 ** -7],
      [{ activation: 'gelu', storage: 'bf16' }, 'medium', 2 ** -6],
      [{ activation: 'gelu', uses: 2 }, 'highest', 2 ** -20],
    ])('has the gradients of the reference: %j with the precision %s', (of, precision, error) => {
      const expected = gradients('reference', of);
      setMatmulPrecision(precision);
      const actual = gradients('cuda', of);
      setMatmulPrecision('highest');
      const norm = (x: Float64Array) => Math.hypot(...x);
      for (const [i, of] of expected.entries())
        expect(norm(of.map((x, j) => x - actual[i]![j]!)) / norm(of)).toBeLessThan(error);
    });

    it('needs no kernel of its own for its gradient, unless its results are used twice', () => {
      const launched = (uses: number) => {
        const { hidden, backward } = chain('cuda', { activation: 'gelu', uses });
        const [, trace] = backendOf('cuda').recorder()!.trace(backward);
        const has = (name: RegExp) => trace.some(({ what }) => name.test(what));
        return [has(/ matmul\d+Backward_/), has(/ linearBackward_/), hidden.grad !== null];
      };
      expect(launched(1)).toEqual([true, false, false]);
      expect(launched(2)).toEqual([false, true, true]);
    });
  });

  withNccl(
    `sums over a group of one GPU by NCCL, also in a recorded step${ncclIsMissing === null ? '' : ` (skipped: ${ncclIsMissing})`}`,
    () => {
      const group = joinNccl({ id: ncclUniqueId(), rank: 0, size: 1 });
      const tensors = (['f32', 'f64', 'i32'] as const).map((dtype) =>
        tensor([1, -2, 3], [3], { dtype, device: 'cuda' }),
      );
      group.allReduce([...tensors, zeros([0], { device: 'cuda' })]);
      expect(tensors.map((t) => [...t.dataSync()])).toEqual(Array(3).fill([1, -2, 3]));
      const step = recordStep(({ x }: Record<'x', Tensor>) => {
        const y = mul(x, x);
        group.allReduce([y]);
        return y;
      });
      for (const x of [2, 3, 4]) expect(step({ x: tensor([x], [1], { device: 'cuda' }) }).item()).toBe(x * x);
      step.release();
      group.close();
    },
  );

  it('refuses a precision that does not exist', () => {
    expect(() => setMatmulPrecision('low' as 'high')).toThrow(ExecutorError);
  });
});

const emulated = onEmulator ? describe : describe.skip;
emulated(
  `on the emulator${onEmulator ? '' : ` (skipped: ${cudaIsMissing ?? 'a real device is tested'})`}`,
  () => {
    it('says what it runs on', () => {
      expect(backendInfo('cuda')).toEqual({
        device: 'cuda',
        threads: 2,
        number: 0,
        name: 'emulated on the CPU',
        capability: 9,
        library: process.env['DAG_CUDA_DRIVER'],
      });
    });

    it('names what is missing: a newer driver, a device, kernels', () => {
      const cases: [Record<string, string>, RegExp][] = [
        [{ DAG_CUDA_EMULATOR_VERSION: '12040' }, /driver is for CUDA up to 12\.4, the kernels need 13\.0/],
        [{ DAG_CUDA_EMULATOR_DEVICES: '0' }, /no GPU of compute capability 7\.5 or more; found none/],
        [{ DAG_CUDA_DEVICE: '3' }, /no GPU of number 3 \(DAG_CUDA_DEVICE\).*found 0: emulated on the CPU/],
        [{ DAG_CUDA_EMULATOR_FAIL: 'cuInit:100' }, /cuInit failed: CUDA_ERROR_NO_DEVICE .*no NVIDIA GPU/],
        [{ DAG_CUDA_KERNELS: folder }, /DAG_CUDA_KERNELS is .*, where there is no elementwise\.fatbin/],
        [
          { DAG_CUDA_EMULATOR_FAIL: 'cuModuleLoadData:209' },
          /elementwise\.fatbin failed: CUDA_ERROR_NO_BINARY_FOR_GPU .*not built for this GPU/,
        ],
      ];
      for (const [environment, message] of cases)
        expect(ask(make, environment)).toEqual(deviceError(message));
      // A file of kernels that is none.
      writeFileSync(join(folder, 'elementwise.fatbin'), 'something else than kernels');
      expect(ask(make, { DAG_CUDA_KERNELS: folder })).toEqual(
        deviceError(/elementwise\.fatbin failed: CUDA_ERROR_INVALID_IMAGE .*damaged/),
      );
    });

    it.each([
      [{}, 0],
      [{ OMPI_COMM_WORLD_LOCAL_RANK: '1' }, 1],
      [{ MPI_LOCALRANKID: '2' }, 2],
      [{ SLURM_LOCALID: '1' }, 1],
      [{ OMPI_COMM_WORLD_LOCAL_RANK: '1', DAG_CUDA_DEVICE: '2' }, 2],
    ])('takes the GPU of its rank on the machine: %j', (environment, number) => {
      expect(
        ask(`executor.backendInfo('cuda').number`, { DAG_CUDA_EMULATOR_DEVICES: '3', ...environment }),
      ).toBe(number);
    });

    it('says that there are more ranks than GPUs', () => {
      expect(ask(make, { DAG_CUDA_EMULATOR_DEVICES: '2', MPI_LOCALRANKID: '2' })).toEqual(
        deviceError(
          /no GPU is left for process 2 of this machine \(MPI_LOCALRANKID\).*as many as there are GPUs, 2,/,
        ),
      );
    });

    const threeGpus = { DAG_CUDA_EMULATOR_DEVICES: '3' };

    it('sums over the GPUs of several processes by NCCL, also in a recorded step', async () => {
      const id = ask(`[...cuda.ncclUniqueId()]`) as number[];
      expect(id).toHaveLength(128);
      const program = (rank: number): string => `
        const options = { id: Uint8Array.of(${id.join()}), rank: ${rank}, size: 3 };
        const group = cuda.joinNccl(options);
        const { tensor, recordStep, mul } = executor;
        const make = (dtype, size) =>
          tensor(Array.from({ length: size }, (_, i) => i + 0.5 * ${rank}), [size], { dtype, device: 'cuda' });
        const tensors = [make('f32', 100_000), make('f64', 3), make('f32', 0)];
        const whole = tensor([1, ${rank}], [2], { dtype: 'i32', device: 'cuda' });
        group.allReduce([...tensors, whole]);
        const x = tensor([1, 2], [2], { device: 'cuda' });
        const step = recordStep(({ x }) => { const y = mul(x, ${rank + 1}); group.allReduce([y]); return y; });
        const steps = [];
        for (let i = 0; i < 4; i++) steps.push([...step({ x }).dataSync()]);
        const ends = tensors.map((t) => [t.size, ...t.dataSync().slice(-2)]);
        group.close();
        group.close();
        let closed;
        try { group.allReduce([x]); } catch (error) { closed = error.message; }
        console.log(JSON.stringify({ ends, whole: [...whole.dataSync()], steps, closed }));`;
      const outputs = await Promise.all([0, 1, 2].map((rank) => runBeside(program(rank), threeGpus)));
      for (const output of outputs)
        expect(JSON.parse(output)).toEqual({
          ends: [[100_000, 3 * 99_998 + 1.5, 3 * 99_999 + 1.5], [3, 4.5, 7.5], [0]],
          whole: [3, 3],
          steps: Array(4).fill([6, 12]),
          closed: 'allReduce: the communicator is closed',
        });
    });

    it('says what is wrong with NCCL, or with a call of it', () => {
      const join = (options: object = {}) => joinNccl({ id: ncclUniqueId(), rank: 0, size: 1, ...options });
      expect(ncclVersion()).toBe('2.27.3');
      expect(ask(`cuda.ncclVersion()`, { DAG_NCCL_LIBRARY: '/none.so' })).toEqual(
        deviceError(/^no NCCL: \/none\.so cannot be loaded/),
      );
      expect(ask(`cuda.ncclUniqueId()`, { DAG_NCCL_LIBRARY: 'libc.so.6' })).toEqual(
        deviceError(/^NCCL libc\.so\.6 is too old: ncclGetErrorString/),
      );
      const cases: [object, RegExp][] = [
        [{ id: new Uint8Array(5) }, /id is the 128 bytes of ncclUniqueId, given 5 bytes/],
        [{ rank: 1 }, /rank is a whole number from 0 to 0, given 1/],
        [{ size: 0 }, /size is a whole number from 1, given 0/],
        [{ ranks: 2 }, /there is no option 'ranks'; did you mean 'rank'/],
      ];
      for (const [options, message] of cases)
        expect(() => join(options)).toThrow(
          expect.objectContaining({ code: 'value', message: expect.stringMatching(message) }),
        );
      const group = join();
      expect(() => group.allReduce([tensor([1], [1], { device: 'reference' })])).toThrow(
        expect.objectContaining(deviceError(/^allReduce: takes tensors on 'cuda', given one on '/)),
      );
      expect(() => group.allReduce(5 as never)).toThrow(expect.objectContaining({ code: 'value' }));
      group.close();
      for (const name of ['ncclGetUniqueId', 'ncclCommInitRank', 'ncclAllReduce']) {
        emulator().fail(`${name}:2`);
        expect(() => join().allReduce([tensor([1], [1], { device: 'cuda' })])).toThrow(
          expect.objectContaining(deviceError(new RegExp(`^cuda: ${name} failed: unhandled system error`))),
        );
      }
    });

    it('gives all memory back, and takes none in steady state', () => {
      const { used } = emulator();
      const w = randn([20, 30], { seed: [1, 2], device: 'cuda', requiresGrad: true });
      const step = (): number =>
        scope(() => {
          w.zeroGrad();
          const x = randn([50, 30], { seed: [3, 4], device: 'cuda' });
          const y = linear(x, w);
          sum(mul(y, y)).backward();
          return clipGradNorm([w], 1).item();
        });
      const first = step();
      step();
      const steady = used();
      for (let i = 0; i < 5; i++) expect(step()).toBe(first);
      expect(used()).toBe(steady);
    });

    it('adds up the gradient of an embedding without a copy of what it is of', () => {
      const device = new CudaDevice();
      const allocator = new Allocator(device);
      const { allocate, write } = memory(device, allocator);
      const [positions, n] = [2048, 128];
      const [index, gradY, storage] = [
        allocate('i32', positions),
        allocate('f32', positions * n),
        allocate('f32', 10 * n),
      ];
      write(
        index,
        Array.from({ length: positions }, (_, i) => i % 10),
      );
      const { used } = emulator();
      const before = used();
      indexing(new Kernels(device, allocator)).embeddingBackward(
        ...([index, gradY, { storage, accumulate: false }, n] as const),
      );
      expect(used() - before).toBeLessThan((4 * positions * n) / 4);
      device.synchronize();
    });

    describe('positions of 32 bits', () => {
      let device: CudaDevice;
      let allocator: Allocator;
      let kernels: Kernels;
      let few: Storage;
      beforeAll(() => {
        device = new CudaDevice();
        allocator = new Allocator(device);
        kernels = new Kernels(device, allocator);
        few = allocator.allocate('f32', 4);
      });
      const beyond = 2 ** 31;
      const plain = { transposeA: false, transposeB: true, strideA: 8, strideB: 8, strideC: 8 };
      const productsOn = (on: Kernels) => products(on, rowSums(on));
      const multiply = (batch: number, m: number, k: number) => () =>
        productsOn(kernels).matmul({ ...plain, batch, m, n: 1, k }, few, few, {
          storage: few,
          accumulate: false,
        });
      const seed = [0, 0] as const;

      it.each<[string, () => void]>([
        ['a product of too many matrices', multiply(beyond, 1, 1)],
        ['a product of too many rows', multiply(1, 64 * beyond, 1)],
        ['a product of too many terms', multiply(1, 1, 16 * beyond)],
        [
          'an embedding of too many positions',
          () =>
            indexing(kernels).embeddingBackward(
              { ...few, length: beyond },
              few,
              { storage: few, accumulate: false },
              1,
            ),
        ],
        [
          'an embedding of too many rows',
          () =>
            indexing(kernels).embeddingBackward(
              few,
              few,
              { storage: { ...few, length: beyond }, accumulate: false },
              1,
            ),
        ],
        [
          'attention of too long sequences, whose tiles are a dimension of the grid',
          () =>
            attention(kernels).attention(
              { batch: 1, time: 32 * 65_536, channels: 4, heads: 1, dropout: 0, seed },
              few,
              few,
              few,
            ),
        ],
      ])('refuses %s', (_, call) => {
        expect(call).toThrow(expect.objectContaining({ code: 'shape' }));
      });

      it('brings matrices that tensor maps cannot describe by another kernel', () => {
        const launched: string[] = [];
        const noting = new Kernels(
          {
            capability: 90,
            multiprocessors: 2,
            tensorMap: () => new BigUint64Array(16),
            kernel: (_: string, name: string) => () => launched.push(name),
          } as unknown as CudaDevice,
          allocator,
        );
        const numbers = allocator.allocate('bf16', 4);
        for (const k of [2 ** 20, beyond])
          productsOn(noting).matmul(
            { ...plain, strideA: 0, strideB: 0, batch: 1, m: 1, n: 1, k },
            numbers,
            numbers,
            {
              storage: few,
              accumulate: false,
            },
          );
        expect(launched).toEqual(['warpgroupBf16_f32', 'matmulOfBf16_f32']);
      });

      it('walks over dimensions of 2³² elements and more', () => {
        const copyWords = device.kernel('walk', 'copyWords_i32', 'wppii');
        const { allocate, write, readSync } = memory(device, allocator);
        const [x, y] = [allocate('i32', 4), allocate('i32', 4)];
        write(x, [1, 2, 3, 4]);
        for (const size of [2 ** 32, 2 ** 32 + 2]) {
          const { words } = packWalk(
            {
              shape: [2, size],
              strides: [
                [0, 1],
                [1, 1],
              ],
            },
            null,
          );
          copyWords([1], 32, 0, words, addressOf(x), addressOf(y), 4, 0);
          expect([...readSync(y)]).toEqual([1, 2, 3, 4]);
        }
      });
    });

    it('says what was asked for and what is free where memory runs out, and goes on', () => {
      const program = `
      const { zeros, scope, sum } = executor;
      const give = (n) => scope(() => sum(zeros([n], { device: 'cuda' })).item());
      // 40 MiB at a time go in turn where 64 MiB are there: what lies in the pool is given back first.
      for (const n of [10 << 20, (10 << 20) + 1, (10 << 20) + 2]) give(n);
      let error;
      try { give(32 << 20); } catch (e) { error = e; }
      console.log(JSON.stringify([error.code, error.message, give(1 << 20)]));`;
      const { stdout, stderr } = run(program, { DAG_CUDA_EMULATOR_MEMORY: String(64 << 20) });
      expect(stderr).toBe('');
      const [code, message, after] = JSON.parse(stdout) as [string, string, number];
      expect(code).toBe('memory');
      expect(message).toMatch(
        /^cuda: out of memory: 128\.0 MiB asked for \(33554432 numbers of f32\), [\d.]+ MiB of 64\.0 MiB free; tensors here hold /,
      );
      expect(after).toBe(0);
    });

    it('gives every error of the driver a type, its name and what it was about, and says that a device is lost', () => {
      const failing = (fault: string) =>
        ask(`executor.sum(executor.ones([3], { device: 'cuda' })).item()`, { DAG_CUDA_EMULATOR_FAIL: fault });
      expect(failing('cuLaunchKernel:719')).toEqual(
        deviceError(
          /the kernel fill_f32 failed: CUDA_ERROR_LAUNCH_FAILED .*the device is lost to this process/,
        ),
      );
      expect(failing('cuStreamSynchronize:700')).toEqual(
        deviceError(/cuStreamSynchronize failed: CUDA_ERROR_ILLEGAL_ADDRESS .*lost.*CUDA_LAUNCH_BLOCKING/),
      );
      expect(failing('cuMemcpyDtoHAsync_v2:214')).toEqual(deviceError(/CUDA_ERROR_ECC_UNCORRECTABLE/));
      expect(failing('cuMemHostAlloc:2')).toEqual(
        deviceError(/cuMemHostAlloc failed: CUDA_ERROR_OUT_OF_MEMORY/),
      );
      expect(failing('cuModuleGetFunction:500')).toEqual(
        deviceError(
          /the kernel fill_f32, which is not in .*elementwise\.fatbin, failed: CUDA_ERROR_NOT_FOUND/,
        ),
      );
      expect(failing('cuLaunchKernel:999')).toEqual(deviceError(/the kernel fill_f32 failed: error 999/));
    });

    it('rejects a read that is under way as the device is lost', () => {
      const reading = `executor.ones([3], { device: 'cuda' }).data()`;
      expect(ask(reading, { DAG_CUDA_EMULATOR_FAIL: 'cuEventQuery:719' })).toEqual(
        deviceError(/to read a tensor failed: CUDA_ERROR_LAUNCH_FAILED/),
      );
    });

    it('ends a product whose tiles in shared memory are not aligned as their swizzles need', () => {
      const program = `
      executor.setMatmulPrecision('high');
      const x = executor.ones([4, 4], { device: 'cuda' });
      console.log(executor.linear(x, x).dataSync()[0]);`;
      expect(run(program).stdout).toBe('4');
      const { stdout, stderr } = run(program, { DAG_CUDA_EMULATOR_SHARED_AT: '512' });
      expect(stdout).toBe('');
      expect(stderr).toContain('a kernel called __trap');
    });

    describe('shows kernels that are wrong:', () => {
      /** What a kernel of kernels/cuda/emulator/faults.cu leaves in 64 whole numbers that were 0 … 63. */
      const run = (
        name: string,
        types: string,
        {
          order = 'forward',
          threads = 64,
          more = 64,
        }: { order?: string; threads?: number; more?: number } = {},
      ): number[] => {
        const device = new CudaDevice();
        const { allocate, write, readSync, free } = memory(device, new Allocator(device));
        const storages = [0, 1].map(() => allocate('i32', 64));
        for (const storage of storages)
          write(
            storage,
            Array.from({ length: 64 }, (_, i) => i),
          );
        const addresses = storages.map(addressOf).slice(-types.replace('i', '').length);
        emulator().order(order);
        try {
          // With room for the tiles of a product.
          device.kernel('faults', `${name}_i32`, types)([1], threads, 40_960, ...addresses, more);
          return Array.from(readSync(storages[1]!));
        } finally {
          emulator().order('forward');
          emulator().fail('');
          storages.forEach(free);
        }
      };

      it('a missing barrier, by another result in another order of threads', () => {
        const right = Array.from({ length: 64 }, (_, i) => 63 - i);
        const results = ['forward', 'reverse', 'shuffle1'].map((order) =>
          run('missingBarrier', 'pp', { order }),
        );
        for (const result of results) expect(result).not.toEqual(right);
        expect(results[1]).not.toEqual(results[0]);
      });

      it('a copy that is read before it was waited for, by another result where it comes late', () => {
        const [late, early] = ['forward', 'reverse'].map((order) => run('earlyRead', 'pp', { order }));
        expect(late).toEqual(Array.from({ length: 64 }, () => -1));
        expect(early).toEqual(Array.from({ length: 64 }, (_, i) => i % 32));
        const own = ['forward', 'reverse'].map((order) => run('earlyReadOfOwn', 'pp', { order }));
        expect(own).toEqual([late, Array.from({ length: 64 }, (_, i) => i)]);
      });

      it('writes that an asynchronous product reads without a proxy fence, by a sum that is NaN', () => {
        const sum = (shows: number): number =>
          new Float32Array(
            Int32Array.from(run('unseenWrites', 'pi', { threads: 128, more: shows })).buffer,
          )[0]!;
        expect(sum(1)).toBe(8);
        expect(sum(0)).toBeNaN();
      });

      it.each(['lostCopy', 'lostCopyOfOwn', 'endlessPhase'])(
        '%s, which is not waited for or never ends',
        (kernel) => {
          expect(() => run(kernel, 'p')).toThrow(/CUDA_ERROR_LAUNCH_FAILED/);
        },
      );

      it.each(['unevenBarrier', 'unevenShuffle'])('%s, which some threads do not reach', (kernel) => {
        expect(() => run(kernel, 'p')).toThrow(/CUDA_ERROR_LAUNCH_FAILED/);
      });

      /** What a process prints that launches a kernel, with the address of 64 whole numbers as `x`, and how it ends. */
      const runAside = (file: string, name: string, types: string, args: string) => {
        const source = (file: string) =>
          JSON.stringify(fileURLToPath(new URL(`../src/backends/cuda/${file}.ts`, import.meta.url)));
        const program = `
        const { CudaDevice } = await import(${source('device')});
        const { Allocator, memory, addressOf } = await import(${source('memory')});
        const device = new CudaDevice();
        const { allocate } = memory(device, new Allocator(device));
        const x = addressOf(allocate('i32', 64));
        device.kernel('${file}', '${name}', '${types}')([1], 64, 0, ${args});
        device.synchronize();`;
        const script = join(folder, `${name}.mts`);
        writeFileSync(script, program);
        const jiti = fileURLToPath(new URL('../../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url));
        return spawnSync(process.execPath, [jiti, script], {
          env: { ...process.env },
          encoding: 'utf8',
          timeout: 60_000,
        });
      };

      it.each([
        ['unary', 'elementwise', 'ippidd', '99, x, x, 4, 0, 0', 99],
        ['binary', 'walk', 'iwpppii', '-1, new Float64Array(37), x, x, x, 4, 0', -1],
      ])('%s of a kind that it does not know, which it says', (kernel, file, types, args, kind) => {
        expect(runAside(file, `${kernel}_f32`, types, args)).toMatchObject({
          signal: 'SIGABRT',
          stdout: `@dag/executor: the kernel ${kernel} knows no kind ${kind}\n`,
        });
      });

      const withSanitizer = isSanitized ? it.each : it.skip.each;
      withSanitizer([
        ['beyondEnd', 'heap-buffer-overflow'],
        ['beyondShared', 'global-buffer-overflow'],
      ])(
        `%s, by AddressSanitizer${isSanitized ? '' : ' (skipped: built without; npm run test:sanitize)'}`,
        (kernel, report) => {
          const { status, stderr } = runAside('faults', `${kernel}_i32`, 'pi', 'x, 64');
          expect(status).not.toBe(0);
          expect(stderr).toContain(report);
        },
      );
    });
  },
);
