/**
 * The backend `cuda` on this machine's GPU: `npm run bench:cuda`, after a build, prints one JSON object; `npm run bench:cuda --
 * matmul` of the parts that are named alone. Needs a driver, and no network. Times are medians of REPEATS; each is of work that is queued and then waited for.
 *
 * - `copy`: bytes read and written a second by a copy within the device, the peak for what follows.
 * - `dag`: graphs a second with values and all gradients, hard plans at D = 4, and their bytes as a share of `copy`.
 * - `matmul`: TFLOP/s of 8192³ in each precision, and their share of what the device can do where that is known here.
 * - `stepMs`, `torchCompiledStepMs`: milliseconds of a training step, recorded, of the 2-layer GPT of ../bench/README.md at batch 2,048, and
 *   PyTorch's, compiled, where python3 has it with CUDA.
 */
import { execFileSync } from 'node:child_process';
import {
  adamWAll,
  backendInfo,
  cast,
  clipGradNorm,
  executeDag,
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

function product(precision: 'highest' | 'high' | 'medium'): number {
  const n = scaled(8192, 3);
  const [a, b] = [randn([n, n], { seed: [1, 1], device }), randn([n, n], { seed: [2, 2], device })];
  setMatmulPrecision(precision);
  const time = seconds(() => {
    scope(() => void matmul(a, b));
    return cast(one, 'f64');
  });
  setMatmulPrecision('highest');
  return (2 * n ** 3) / (time - waiting) / 1e12;
}

/** Milliseconds of forward, backward, clipping and AdamW of the GPT alone, in TF32, as one recorded step. */
function step(): number {
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
    Int32Array.from({ length: B * T }, (_, i) => (i * 7919) % config.vocabSize),
    [B, T],
    { device },
  );
  let done = 0;
  const train = recordStep(({ tokens, count, lr }: Record<'tokens' | 'count' | 'lr', Tensor>) => {
    for (const p of parameters) p.zeroGrad();
    sum(gpt.forward(tokens, { dropoutSeed: count })).backward();
    const norm = clipGradNorm(parameters, 1);
    const spec = { lr, beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.01, step: count };
    adamWAll(moved, spec);
    return norm;
  });
  setMatmulPrecision('high');
  const time = seconds(() => train({ tokens, count: ++done, lr: 1e-3 }));
  train.release();
  setMatmulPrecision('highest');
  return 1000 * time;
}

/** PyTorch's time for the same step, compiled; null where python3 has no PyTorch with CUDA. */
function torchStep(): number | null {
  const program = `
import statistics, time, torch
from torch import nn
torch.set_float32_matmul_precision('high')
B, T, C, V = ${scaled(2048)}, 32, 256, 50304
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.up, self.down, self.drop = nn.Linear(C, 4 * C), nn.Linear(4 * C, C), nn.Dropout(0.1)
    def forward(self, x):
        q, k, v = [t.view(B, T, 4, C // 4).transpose(1, 2) for t in self.qkv(self.l1(x)).split(C, 2)]
        y = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.1, is_causal=True)
        x = x + self.drop(self.out(y.transpose(1, 2).reshape(B, T, C)))
        return x + self.drop(self.down(nn.functional.gelu(self.up(self.l2(x)))))
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe, self.drop = nn.Embedding(V, C), nn.Embedding(T, C), nn.Dropout(0.1)
        self.blocks, self.norm = nn.ModuleList([Block(), Block()]), nn.LayerNorm(C)
    def forward(self, tokens):
        x = self.drop(self.wte(tokens) + self.wpe(torch.arange(T, device='cuda')))
        for block in self.blocks: x = block(x)
        return self.norm(x).sum()
model = Model().cuda()
compiled = torch.compile(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
tokens = (torch.arange(B * T, device='cuda') * 7919 % V).view(B, T)
times = []
for _ in range(5 + ${REPEATS}):
    torch.cuda.synchronize(); begun = time.perf_counter()
    optimizer.zero_grad(); compiled(tokens).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0); optimizer.step()
    torch.cuda.synchronize(); times.append(1000 * (time.perf_counter() - begun))
print(statistics.median(times[5:]))`;
  try {
    const printed = execFileSync('python3', ['-c', program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number(printed);
  } catch {
    return null;
  }
}

const products = () =>
  Object.fromEntries(
    (['highest', 'high', 'medium'] as const).map((precision, i) => {
      const teraflops = product(precision);
      const peak = most?.[i];
      return [['f32', 'tf32', 'bf16'][i]!, { teraflops, shareOfPeak: peak ? teraflops / peak : null }];
    }),
  );

const { name, capability, threads } = backendInfo(device);
const copy = copyRate();
const most = peaks();
const parts = { dag: () => dag(copy), matmul: products, stepMs: step, torchCompiledStepMs: torchStep };
const wanted = process.argv.slice(2);
const report: Record<string, unknown> = {
  device: { name, capability, multiprocessors: threads },
  copyBytesPerSecond: copy,
};
for (const [part, measure] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(part)) continue;
  console.error(`${part} …`);
  report[part] = measure();
}
console.log(JSON.stringify(report, null, 2));
