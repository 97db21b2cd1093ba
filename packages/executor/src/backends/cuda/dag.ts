import type { Backend, DagFields, DagSpec, Storage, Target } from '../../backend.js';
import { Kernels, PARALLEL, precisionOf, THREADS } from './kernels.js';
import { addressOf } from './memory.js';
import { bytesOf } from '../host.js';
import { accumulatedFields } from '../kinds.js';

/** Members of Graphs in kernels/cuda/dag.cu. */
const GRAPHS = `(${'p'.repeat(10)}iiiidippi)`;
/** Threads of a block, which is one warp with a graph for each. */
const WARP = 32;
/** Depths with kernels of their own; the kernels for any depth have no number in their name. */
const DEPTHS = new Set([4, 8, 9]);
/** That of graphs whose plan, where it is hard, has a way of its own. */
const HARD_DEPTH = 4;
/** More than that of a multiprocessor would leave one warp alone on it. */
const MOST_SHARED = 96 << 10;
/** Most blocks where each has memory of its own: the memory adds up, and more blocks do not run at a time. */
const MOST_SCRATCHES = 2 * PARALLEL;
/** Most blocks that sum the gradients of a shared plan. */
const MOST_SUMS = 4 * PARALLEL;

/** Execution of graphs, forward and backward. */
export function dagKernels(kernels: Kernels): Pick<Backend, 'dag' | 'dagBackward'> {
  const { device } = kernels;
  const kernelOf = (name: string) => {
    const ofDepth = new Map(
      [...DEPTHS].map((depth) => [depth, kernels.precisions('dag', `${name}${depth}`, GRAPHS)]),
    );
    const ofAny = kernels.precisions('dag', name, GRAPHS);
    return (depth: number) => ofDepth.get(depth) ?? ofAny;
  };
  const forward = { isBackward: false, kernelOf: kernelOf('dag') };
  const backward = { isBackward: true, kernelOf: kernelOf('dagBackward') };
  const sumPlans = kernels.precisions('dag', 'sumPlans', 'piippi');

  function run(
    { isBackward, kernelOf }: typeof forward,
    spec: DagSpec,
    fields: DagFields<Storage>,
    upstream: Storage | null,
    values: Storage | null,
    gradients: DagFields<Target | null>,
  ): void {
    const { depth, size, maxLog } = spec;
    // A single graph: its plan's gradients need no sum.
    const shared = spec.shared && size !== 1;
    const precision = precisionOf(fields.V_mag);
    const bytes = memoryOf(depth, precision, isBackward);
    const isShared = bytes <= Math.min(device.sharedLimit, MOST_SHARED);
    const wantsPlan = shared && (gradients.O !== null || gradients.G !== null);
    const most = !isShared ? MOST_SCRATCHES : shared ? MOST_SUMS : 2 ** 16;
    const blocks = Math.min(Math.ceil(size / WARP), most);
    const planLength = 2 * depth * depth + depth;
    const partials = shared && isBackward ? blocks * planLength : 0;
    const at = (target: Target | null): number => addressOf(target?.storage ?? null);
    kernels.withScratch('f64', isShared ? 0 : (blocks * bytes) / 8, ({ block: scratch }) =>
      kernels.withScratch('f64', partials, ({ block: partial }) => {
        if (size > 0)
          kernelOf(depth)[precision](
            [blocks],
            WARP,
            isShared ? bytes : 0,
            ...[fields.V_mag, fields.V_sign, fields.O, fields.G].map(addressOf),
            ...[addressOf(upstream), addressOf(values)],
            ...[at(gradients.V_mag), at(gradients.V_sign), at(gradients.O), at(gradients.G)],
            ...[accumulatedFields(gradients), depth, size, Number(shared), Math.exp(maxLog)],
            Number(spec.inference),
            ...[partial.address, scratch.address, bytes],
          );
        if (wantsPlan)
          sumPlans[precision](
            kernels.gridForWarps(planLength),
            THREADS,
            0,
            ...[partial.address, blocks, depth],
            ...[at(gradients.O), at(gradients.G), accumulatedFields(gradients)],
          );
      }),
    );
  }

  const NOTHING = { V_mag: null, V_sign: null, O: null, G: null };
  return {
    dag: (spec, fields, values) => run(forward, spec, fields, null, values, NOTHING),
    dagBackward: (spec, fields, upstream, values, gradients) =>
      run(backward, spec, fields, upstream, values, gradients),
  };
}

/** Bytes that a block needs, as runGraphs in kernels/cuda/dag.cu divides them, and HardTile. */
function memoryOf(depth: number, precision: 'f32' | 'f64', isBackward: boolean): number {
  const width = 2 * depth;
  const most = width - 1;
  const isAny = !DEPTHS.has(depth);
  const nodes = most + depth + (isAny ? width : 0);
  const gradients = isBackward ? width + most + depth + (isAny ? 4 * width : 0) : 0;
  const gradientsOfStep = isBackward ? most * (WARP + 1) : 0;
  const rows = (3 * depth) | 1;
  const any = ((nodes + gradients) * WARP + gradientsOfStep) * 8 + rows * WARP * bytesOf(precision);
  return depth === HARD_DEPTH ? Math.max(any, (width + 1) * depth * bytesOf(precision) * WARP) : any;
}
