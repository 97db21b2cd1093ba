/**
 * `npm run bench`: every figure of bench/README.md, measured now and on this machine; a table, and bench/results.json.
 * Each program is a process of its own and prints one JSON object. What is compared with a peer is run in rounds, one after
 * the other, and a ratio is the median of those of the rounds: a machine that slows down slows both.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backendInfo } from '@dag/executor';

const ROUNDS = 3;
const here = fileURLToPath(new URL('.', import.meta.url));
const { threads, variant } = backendInfo('cpu');
/** Debian's OpenBLAS is told elsewhere which kernels to take; here it chooses the fastest itself. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !['OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE'].includes(name)),
);

function run<T>(command: string, args: readonly string[]): T {
  const text = execFileSync(command, args, {
    cwd: here,
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(text) as T;
}

/** Null, with the reason on stderr, where a peer or a tool is not installed. */
function optional<T>(name: string, work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    console.error(`${name} is left out: ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
}

const program = <T>(file: string): T =>
  run<T>(process.execPath, [join(here, '../node_modules/jiti/lib/jiti-cli.mjs'), join(here, file)]);

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

interface Machine {
  readonly gflops: number;
  readonly copyGBs: number;
}

const folder = mkdtempSync(join(tmpdir(), 'dag-bench-'));
const machineProgram = optional('The peak of the machine', () => {
  const target = join(folder, 'machine');
  const flags = ['-O3', '-march=native', '-ffp-contract=fast', '-pthread'];
  execFileSync(process.env['CXX'] ?? 'c++', [...flags, join(here, 'machine.cpp'), '-o', target]);
  return target;
});
const machine = (): Machine | null =>
  machineProgram === null ? null : run<Machine>(machineProgram, [String(threads)]);

interface Torch {
  readonly version: string;
  readonly stepSeconds: number;
  readonly matmulSeconds: number;
  readonly graphSeconds: number;
}

const rounds = Array.from({ length: ROUNDS }, () => ({
  before: machine(),
  matmul: program<{ matmulSeconds: number }>('matmul.ts').matmulSeconds,
  after: machine(),
  step: program<{ stepSeconds: number }>('step.ts').stepSeconds,
  torch: optional('PyTorch', () => run<Torch>('/usr/bin/python3', ['torch_peer.py', String(threads)])),
}));

interface Dag {
  readonly millionGraphsASecond: Record<
    'hard' | 'soft',
    { readonly kernels: Readonly<Record<'together' | 'apart', number>>; readonly executeDag: number }
  >;
  readonly microsecondsACall: { readonly execute: number; readonly executeWithGradients: number };
  readonly sharedPlan: {
    readonly nanosecondsARow: Readonly<Record<string, number>>;
    readonly timesMathjs: Readonly<Record<string, number>>;
  };
}
interface Data {
  readonly stream: { readonly examplesPerSecond: number };
  readonly tensorize: { readonly perSecond: number };
}

const beforeDag = machine();
interface Prediction {
  readonly milliseconds: Readonly<Record<string, Record<'native' | 'onnx', { readonly p50: number } | null>>>;
}
const prediction = program<Prediction>('predict.ts');
const dag = program<Dag>('dag.ts');
const peakAtDag = beforeDag && Math.max(beforeDag.gflops, machine()!.gflops);
rmSync(folder, { recursive: true });
const data = program<Data>('data.ts');
const peers = existsSync(join(here, 'node_modules'))
  ? optional('TensorFlow.js and jax-js', () =>
      run<Record<string, number>>(process.execPath, [join(here, 'peers.mjs')]),
    )
  : null;

/** Median over the rounds that have both numbers of a ratio. */
function ratio(of: (round: (typeof rounds)[number]) => number | null): number | null {
  const values = rounds.map(of).filter((value) => value !== null);
  return values.length ? median(values) : null;
}

const matmulGflops = (seconds: number): number => (2 * 8192 * 256 * 1024) / seconds / 1e9;
const figures = {
  machine: {
    variant,
    threads,
    gflops: ratio(({ before }) => before && before.gflops),
    copyGBs: ratio(({ before }) => before && before.copyGBs),
  },
  step: {
    seconds: median(rounds.map(({ step }) => step)),
    torchSeconds: ratio(({ torch }) => torch && torch.stepSeconds),
    ofTorch: ratio(({ step, torch }) => torch && step / torch.stepSeconds),
  },
  matmul: {
    gflops: matmulGflops(median(rounds.map(({ matmul }) => matmul))),
    ofPeak: ratio(
      ({ matmul, before, after }) =>
        before && after && matmulGflops(matmul) / Math.max(before.gflops, after.gflops),
    ),
    torchGflops: ratio(({ torch }) => torch && matmulGflops(torch.matmulSeconds)),
    peerGflops: peers && Object.fromEntries(Object.entries(peers).map(([k, s]) => [k, matmulGflops(s)])),
  },
  dag: { peakGflops: peakAtDag, ...dag },
  data,
  prediction,
  torch: rounds[0]!.torch && {
    version: rounds[0]!.torch.version,
    graphSeconds: rounds[0]!.torch.graphSeconds,
  },
};
writeFileSync(join(here, 'results.json'), `${JSON.stringify(figures, null, 2)}\n`);

const number = (value: number | null | undefined, digits = 1): string => value?.toFixed(digits) ?? '–';
const share = (value: number | null): string => (value === null ? '–' : `${(100 * value).toFixed(0)} %`);
const { hard, soft } = dag.millionGraphsASecond;
const { microsecondsACall: call, sharedPlan: rows } = dag;
const asked = Object.values(prediction.milliseconds)[0]!;
const peer = (name: string): string => number(figures.matmul.peerGflops?.[name], 0);

const table: readonly (readonly [work: string, ours: string, reference: string])[] = [
  ['work', 'measured', 'beside it'],
  [
    'machine: FMA peak, copying',
    `${number(figures.machine.gflops, 0)} GFLOP/s`,
    `${number(figures.machine.copyGBs)} GB/s`,
  ],
  [
    'training step, 13.4 M parameters',
    `${number(1000 * figures.step.seconds, 0)} ms`,
    `PyTorch ${number(figures.step.torchSeconds && 1000 * figures.step.torchSeconds, 0)} ms: × ${number(figures.step.ofTorch, 2)}`,
  ],
  [
    'f32 product 8192×256×1024',
    `${number(figures.matmul.gflops, 0)} GFLOP/s`,
    `${share(figures.matmul.ofPeak)} of peak; OpenBLAS ${number(figures.matmul.torchGflops, 0)}`,
  ],
  ['', '', `TensorFlow.js ${peer('TensorFlow.js (wasm)')}, jax-js ${peer('jax-js (wasm)')}`],
  [
    'DAG + gradient, hard plans',
    `${number(hard.kernels.together)} M/s`,
    `one kernel after the other ${number(hard.kernels.apart)}, executeDag ${number(hard.executeDag)}`,
  ],
  [
    'DAG + gradient, soft plans',
    `${number(soft.kernels.together)} M/s`,
    `one kernel after the other ${number(soft.kernels.apart)}, executeDag ${number(soft.executeDag)}`,
  ],
  ['', '', `where the peak is ${number(peakAtDag, 0)} GFLOP/s`],
  ['stream, one core', `${data.stream.examplesPerSecond}/s`, 'examples with all prefixes'],
  ['tensorize(text), one core', `${data.tensorize.perSecond}/s`, 'four numbers of 4 + 4 digits'],
  [
    'one small graph',
    `${number(call.execute, 2)} µs`,
    `with gradients ${number(call.executeWithGradients, 2)}; PyTorch ${number(figures.torch && 1e6 * figures.torch.graphSeconds, 0)}`,
  ],
  [
    'a prediction of the shipped model',
    `${number(asked.onnx?.p50, 2)} ms`,
    `onnxruntime, p50; by the cpu backend ${number(asked.native?.p50, 2)}`,
  ],
  [
    'value + gradients of a row',
    `${number(rows.nanosecondsARow['withGradientsOfNumbers'])} ns`,
    `mathjs ${number(rows.nanosecondsARow['mathjs'], 0)} ns (value): ${number(rows.timesMathjs['withGradientsOfNumbers'])} ×`,
  ],
];
const widths = [0, 1].map((c) => Math.max(...table.map((row) => row[c]!.length)));
for (const [work, ours, beside] of table)
  console.log(`${work.padEnd(widths[0]!)}  ${ours.padStart(widths[1]!)}  ${beside}`);
