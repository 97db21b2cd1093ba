/**
 * The backend `cuda` on this machine's GPU: `npm run bench:cuda`, after a build, prints one JSON object; `npm run bench:cuda --
 * matmul` of the parts that are named alone. Needs a driver, and no network. Times are medians of REPEATS; each is of work that is queued and then waited for.
 *
 * - `copy`: bytes read and written a second by a copy within the device, the peak for what follows.
 * - `dag`: graphs a second with values and all gradients, hard plans at D = 4, and their bytes as a share of `copy`.
 * - `matmul`: TFLOP/s of 8192³ in each precision, their share of what the device can do where that is known here, and of what
 *   torch.matmul (cuBLAS) does in the same run. That one's bf16 is stored so, as ours in `bf16Stored`; `bf16` comes from f32.
 * - `step`: milliseconds of a training step, recorded, of the 2-layer GPT of ../bench/README.md at batch 2,048 with tokens by Zipf's law, and
 *   how many times PyTorch's best that is: eager, compiled, or compiled with CUDA graphs; beside bf16 under autocast.
 * - `torch`: what PyTorch measured, where python3 has it with CUDA.
 */
import '@dag/executor/cuda';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  adamWAll,
  backendInfo,
  cast,
  executeDag,
  linear,
  matmul,
  ones,
  randn,
  recordStep,
  scope,
  setMatmulPrecision,
  sum,
  tensor,
  zeros,
  type Tensor,
} from '@dag/executor';
import { Gpt, ParameterBuilder } from '@dag/model';
import { CudaDevice } from '../packages/executor/src/backends/cuda/device.js';
import { addressOf, Allocator, memory } from '../packages/executor/src/backends/cuda/memory.js';

const device = 'cuda';
const REPEATS = Number(process.env['REPEATS'] ?? 7);
/** Shrinks the sizes, to see that the program runs: on the emulator 1e-4 takes a minute. */
const SCALE = Number(process.env['SCALE'] ?? 1);
const scaled = (n: number, power = 1): number => Math.max(1, Math.round(n * SCALE ** (1 / power)));

/** Median seconds of `run`, whose result is waited for. */
function seconds(run: () => Tensor): number {
  const once = (): number => {
    const begun = performance.now();
    scope(() => void run().dataSync());
    return (performance.now() - begun) / 1000;
  };
  once();
  once();
  return Array.from({ length: REPEATS }, once).toSorted((a, b) => a - b)[REPEATS >> 1]!;
}

/** What a read of one number takes, which is in every time. */
const one = ones([1], { device });
const waiting = seconds(() => cast(one, 'f64'));

const cuda = new CudaDevice();

/** By the driver's own copy, without anything of the backend. */
function copyRate(): number {
  const { allocate, free } = memory(cuda, new Allocator(cuda));
  const length = scaled(256 << 20);
  const [from, to] = [allocate('f32', length), allocate('f32', length)];
  const copies = (n: number): number => {
    const begun = performance.now();
    for (let i = 0; i < n; i++)
      cuda.driver.call('cuMemcpyDtoDAsync_v2', addressOf(to), addressOf(from), 4 * length, cuda.stream);
    cuda.synchronize();
    return (performance.now() - begun) / 1000;
  };
  copies(2);
  const times = Array.from({ length: REPEATS }, () => copies(10)).toSorted((a, b) => a - b);
  free(from);
  free(to);
  return (10 * 2 * 4 * length) / times[REPEATS >> 1]!;
}

/**
 * FLOP a clock of a multiprocessor by compute capability, in f32, TF32 and bf16 (CUDA C++ Programming Guide, "Arithmetic
 * Instructions", and NVIDIA's papers on A100, H100 and B200; dense).
 */
const PEAKS: Readonly<Record<number, readonly [f32: number, tf32: number, bf16: number]>> = {
  80: [128, 1024, 2048],
  90: [256, 2048, 4096],
  100: [256, 4096, 8192],
};

/** TFLOP/s that the device can do in each precision; null where it is not known here. */
function peaks(): readonly number[] | null {
  const clock = new Int32Array(1);
  const CLOCK_RATE_IN_KHZ = 13;
  cuda.driver.call('cuDeviceGetAttribute', clock, CLOCK_RATE_IN_KHZ, 0);
  return (
    PEAKS[cuda.capability]?.map((flop) => (flop * cuda.multiprocessors * clock[0]! * 1e3) / 1e12) ?? null
  );
}

function dag(copy: number) {
  const [D, N] = [4, scaled(16e6)];
  const hard = (n: number, values: readonly number[]): Float32Array => {
    const numbers = new Float32Array(n);
    for (let i = 0; i < n; i++) numbers[i] = values[(i * 7) % values.length]!;
    return numbers;
  };
  const leaf = (data: Float32Array, shape: number[]): Tensor =>
    tensor(data, shape, { device, requiresGrad: true });
  const fields = {
    V_mag: leaf(hard(N * 2 * D, [1.5, 2, 0.75, 3]), [N, 2 * D]),
    V_sign: leaf(hard(N * 2 * D, [1, -1, 1]), [N, 2 * D]),
    O: leaf(hard(N * 2 * D * D, [1, 0, 0, -1, 0]), [N, D, 2 * D]),
    G: leaf(hard(N * D, [1, 0, 1]), [N, D]),
  };
  const upstream = ones([N], { device, dtype: 'f64' });
  const time = seconds(() => {
    for (const field of Object.values(fields)) field.zeroGrad();
    executeDag(fields).backward(upstream);
    return cast(one, 'f64');
  });
  // Forward reads the fields and writes the value; backward reads both again and writes a gradient of each field.
  const numbers = 2 * D * (2 + D) + D;
  const bytes = N * (3 * 4 * numbers + 2 * 8);
  const rate = N / (time - waiting);
  return { graphsPerSecond: rate, shareOfCopy: bytes / (time - waiting) / copy };
}

/** TFLOP/s of a product of f32; `inBf16`: of bf16 by the bf16 copy of a weight, to bf16. */
function product(precision: 'highest' | 'high' | 'medium', inBf16 = false): number {
  const n = scaled(8192, 3);
  const [a, b] = [randn([n, n], { seed: [1, 1], device }), randn([n, n], { seed: [2, 2], device })];
  const x = inBf16 ? cast(a, 'bf16') : a;
  b.requiresGrad = inBf16;
  setMatmulPrecision(precision);
  const time = seconds(() => {
    scope(() => void (inBf16 ? linear(x, b, null, { dtype: 'bf16' }) : matmul(x, b)));
    return cast(one, 'f64');
  });
  setMatmulPrecision('highest');
  return (2 * n ** 3) / (time - waiting) / 1e12;
}

/** Multiples of it, modulo 1, are spread evenly. */
const GOLDEN = 0.6180339887498949;

/** Milliseconds of forward, backward, clipping and AdamW of the GPT alone, as one recorded step. */
function step(precision: 'high' | 'medium'): number {
  const [B, T] = [scaled(2048), 32];
  const config = { blockSize: T, vocabSize: 50_304, nLayer: 2, nHead: 4, nEmbd: 256, dropout: 0.1 };
  const build = new ParameterBuilder(0, device);
  const gpt = new Gpt({ ...config, bias: true, depth: 0 }, build);
  const parameters = [...build.parameters.values()];
  const moved = parameters.map((parameter) => {
    const [m, v] = [zeros(parameter.shape, { device }), zeros(parameter.shape, { device })];
    return { parameter, m, v };
  });
  const tokens = tensor(
    // By Zipf's law, as words of a language are: the token of rank r in proportion to 1 / r.
    Int32Array.from({ length: B * T }, (_, i) => Math.floor(config.vocabSize ** ((i * GOLDEN) % 1)) - 1),
    [B, T],
    { device },
  );
  let done = 0;
  const train = recordStep(({ tokens, count, lr }: Record<'tokens' | 'count' | 'lr', Tensor>) => {
    for (const p of parameters) p.zeroGrad();
    sum(gpt.forward(tokens, { dropoutSeed: count })).backward();
    const spec = { lr, beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.01, step: count };
    return adamWAll(moved, { ...spec, maxNorm: 1 });
  });
  setMatmulPrecision(precision);
  const time = seconds(() => train({ tokens, count: ++done, lr: 1e-3 }));
  train.release();
  setMatmulPrecision('highest');
  return 1000 * time;
}

/** What PyTorch measures of the same (torch_cuda_peer.py); null where python3 has no PyTorch with CUDA. */
interface Peer {
  readonly teraflops?: Readonly<Record<string, number | null>>;
  readonly stepMs?: Readonly<Record<string, { readonly best: number | null }>>;
}
function peerOf(parts: readonly string[]): Peer | null {
  const program = fileURLToPath(new URL('torch_cuda_peer.py', import.meta.url));
  const args = [scaled(2048), scaled(8192, 3), REPEATS, parts.join()].map(String);
  try {
    const printed = execFileSync('python3', [program, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return JSON.parse(printed) as Peer;
  } catch {
    return null;
  }
}

const ratio = (own: number, of: number | null | undefined): number | null => (of ? own / of : null);

const NAMES = { highest: 'f32', high: 'tf32', medium: 'bf16' } as const;

const products = () =>
  Object.fromEntries(
    (
      [
        ['f32', 'highest', false],
        ['tf32', 'high', false],
        ['bf16', 'medium', false],
        ['bf16Stored', 'medium', true],
      ] as const
    ).map(([name, precision, inBf16]) => {
      const teraflops = product(precision, inBf16);
      const place = Object.keys(NAMES).indexOf(precision);
      const shares = {
        shareOfPeak: ratio(teraflops, most?.[place]),
        shareOfCublas: ratio(teraflops, peer?.teraflops?.[NAMES[precision]]),
      };
      return [name, { teraflops, ...shares }];
    }),
  );

const steps = () =>
  Object.fromEntries(
    (['high', 'medium'] as const).map((precision) => {
      const ms = step(precision);
      return [NAMES[precision], { ms, timesTorchsBest: ratio(ms, peer?.stepMs?.[NAMES[precision]]?.best) }];
    }),
  );

const { name, capability, threads } = backendInfo(device);
const copy = copyRate();
const most = peaks();
const parts = { dag: () => dag(copy), matmul: products, step: steps };
const asked = process.argv.slice(2);
const wanted = Object.keys(parts).filter((part) => asked.length === 0 || asked.includes(part));
const peer = peerOf(wanted);
const report: Record<string, unknown> = {
  device: { name, capability, multiprocessors: threads },
  copyBytesPerSecond: copy,
  torch: peer,
};
for (const [part, measure] of Object.entries(parts)) {
  if (!wanted.includes(part)) continue;
  console.error(`${part} …`);
  report[part] = measure();
}
console.log(JSON.stringify(report, null, 2));
