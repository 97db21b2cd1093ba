/**
 * `npm run bench`: the figures of bench/README.md, measured now and on this machine: a table with their aims, and bench/results.json.
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

/** Glibc keeps the memory that PyTorch frees: mapped anew for every tensor, half of its step would be page faults. */
const torchEnvironment = {
  ...environment,
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '68719476736',
  MALLOC_TOP_PAD_: '268435456',
};

function run<T>(command: string, args: readonly string[], env = environment): T {
  const text = execFileSync(command, args, {
    cwd: here,
    encoding: 'utf8',
    env,
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

const jiti = join(here, '../node_modules/jiti/lib/jiti-cli.mjs');
const program = <T>(file: string, env = environment): T =>
  run<T>(process.execPath, [jiti, join(here, file)], env);

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
const machine = (on = threads): Machine | null =>
  machineProgram === null ? null : run<Machine>(machineProgram, [String(on)]);
const product = (env = environment): number =>
  program<{ matmulSeconds: number }>('matmul.ts', env).matmulSeconds;

interface Torch {
  readonly version: string;
  readonly stepSeconds: number;
  readonly matmulSeconds: number;
  readonly graphSeconds: number;
}

const rounds = Array.from({ length: ROUNDS }, () => ({
  before: machine(),
  matmul: product(),
  after: machine(),
  beforeOne: machine(1),
  matmulOne: product({ ...environment, DAG_NUM_THREADS: '1' }),
  afterOne: machine(1),
  step: program<{ stepSeconds: number }>('step.ts').stepSeconds,
  torch: optional('PyTorch', () =>
    run<Torch>('/usr/bin/python3', ['torch_peer.py', String(threads)], torchEnvironment),
  ),
}));

interface Dag {
  readonly millionGraphsASecond: Record<
    'hard' | 'soft',
    { readonly kernels: Readonly<Record<'together' | 'apart', number>>; readonly executeDag: number }
  >;
  readonly microsecondsACall: Readonly<
    Record<'execute' | 'executeWithGradients' | 'executeWithGradientsOut', number>
  >;
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
interface Wasm {
  readonly threads: number;
  readonly milliseconds: Readonly<
    Record<'product' | 'step' | 'prediction', Readonly<Record<'one' | 'all', { readonly median: number }>>>
  >;
}
const wasm = program<Wasm>('wasm.ts');
const memory = program<{ readonly times: { readonly total: number } }>('memory.ts');
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
/** The share of the peak that a product reaches, by what the machine can do right before and after. */
const ofPeak = (seconds: number, before: Machine | null, after: Machine | null): number | null =>
  before && after && matmulGflops(seconds) / Math.max(before.gflops, after.gflops);
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
    ofPeak: ratio(({ matmul, before, after }) => ofPeak(matmul, before, after)),
    oneThread: {
      gflops: matmulGflops(median(rounds.map(({ matmulOne }) => matmulOne))),
      ofPeak: ratio(({ matmulOne, beforeOne, afterOne }) => ofPeak(matmulOne, beforeOne, afterOne)),
    },
    torchGflops: ratio(({ torch }) => torch && matmulGflops(torch.matmulSeconds)),
    peerGflops: peers && Object.fromEntries(Object.entries(peers).map(([k, s]) => [k, matmulGflops(s)])),
  },
  dag: { peakGflops: peakAtDag, ...dag },
  data,
  prediction,
  wasm,
  memory,
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

const { oneThread } = figures.matmul;
const onWasm = (work: keyof Wasm['milliseconds']): Row => {
  const { one, all } = wasm.milliseconds[work];
  return [
    `wasm: ${work}`,
    `${number(all.median)} ms`,
    '',
    `${wasm.threads} threads; one ${number(one.median)}`,
  ];
};

type Row = readonly [work: string, ours: string, aim: string, reference: string];
const table: readonly Row[] = [
  ['work', 'measured', 'aim', 'beside it'],
  [
    'machine: FMA peak, copying',
    `${number(figures.machine.gflops, 0)} GFLOP/s`,
    '',
    `${number(figures.machine.copyGBs)} GB/s`,
  ],
  [
    'training step, 13.4 M parameters',
    `× ${number(figures.step.ofTorch, 2)}`,
    '× 0.38',
    `of PyTorch's ${number(figures.step.torchSeconds && 1000 * figures.step.torchSeconds, 0)} ms; ${number(1000 * figures.step.seconds, 0)} ms`,
  ],
  [
    'f32 product 8192×256×1024',
    share(figures.matmul.ofPeak),
    '80 %',
    `of the peak; ${number(figures.matmul.gflops, 0)} GFLOP/s, OpenBLAS ${number(figures.matmul.torchGflops, 0)}`,
  ],
  ['', '', '', `TensorFlow.js ${peer('TensorFlow.js (wasm)')}, jax-js ${peer('jax-js (wasm)')}`],
  [
    'the same on one thread',
    share(oneThread.ofPeak),
    '80 %',
    `of the peak; ${number(oneThread.gflops, 0)} GFLOP/s`,
  ],
  [
    'DAG + gradient, hard plans',
    `${number(hard.kernels.together)} M/s`,
    '28 M/s',
    `one kernel after the other ${number(hard.kernels.apart)}, executeDag ${number(hard.executeDag)}`,
  ],
  [
    'DAG + gradient, soft plans',
    `${number(soft.kernels.together)} M/s`,
    '11 M/s',
    `one kernel after the other ${number(soft.kernels.apart)}, executeDag ${number(soft.executeDag)}`,
  ],
  ['', '', '', `where the peak is ${number(peakAtDag, 0)} GFLOP/s`],
  ['stream, one core', `${data.stream.examplesPerSecond}/s`, '20000/s', 'examples with all prefixes'],
  ['tensorize(text), one core', `${data.tensorize.perSecond}/s`, '50000/s', 'four numbers of 4 + 4 digits'],
  [
    'one small graph',
    `${number(call.execute, 2)} µs`,
    '0.8 µs',
    `PyTorch ${number(figures.torch && 1e6 * figures.torch.graphSeconds, 0)}`,
  ],
  [
    'one small graph, with gradients',
    `${number(call.executeWithGradients, 2)} µs`,
    '1.6 µs',
    `into arrays that are there ${number(call.executeWithGradientsOut, 2)}`,
  ],
  [
    'a prediction of the shipped model',
    `${number(asked.onnx?.p50, 2)} ms`,
    '',
    `onnxruntime, p50; by the cpu backend ${number(asked.native?.p50, 2)}`,
  ],
  [
    'columnGradients, a row',
    `${number(rows.nanosecondsARow['columnGradients'])} ns`,
    '60 ns',
    `into new columns; into arrays that are there ${number(rows.nanosecondsARow['columnGradientsOut'])}, ` +
      `mathjs ${number(rows.nanosecondsARow['mathjs'], 0)} ns (value)`,
  ],
  [
    'value + gradients of a row',
    `${number(rows.nanosecondsARow['withGradientsOfNumbers'])} ns`,
    '',
    `of numbers, into arrays that are there; mathjs × ${number(rows.timesMathjs['withGradientsOfNumbers'])}`,
  ],
  ['memory of varying steps', `× ${number(memory.times.total, 2)}`, '× 1.5', 'of that of the largest step'],
  onWasm('product'),
  onWasm('step'),
  onWasm('prediction'),
];
const widths = [0, 1, 2].map((c) => Math.max(...table.map((row) => row[c]!.length)));
for (const [work, ours, aim, beside] of table)
  console.log(
    `${work.padEnd(widths[0]!)}  ${ours.padStart(widths[1]!)}  ${aim.padStart(widths[2]!)}  ${beside}`,
  );
