import type { Backend, DagFields, DagSpec, Storage, Target } from '../../backend.js';
import { Kernels, PARALLEL, precisionOf, THREADS } from './kernels.js';
import { addressOf } from './memory.js';
import { bytesOf } from '../host.js';
import { accumulatedFields } from '../kinds.js';

/** Members of Graphs in kernels/cuda/dag.cu. */
const GRAPHS = `(${'p'.repeat(10)}iiiidpp)`;
/** Arrays of 2·depth doubles that a graph is worked on with: Work::FORWARD and Work::ALL there. */
const ARRAYS = { forward: 3, backward: 7 };
const WARP = 32;
const MOST_THREADS = 128;

/** Values and gradients of graphs. */
export function dagKernels(kernels: Kernels): Pick<Backend, 'dag' | 'dagBackward'> {
  const { device } = kernels;
  const forward = {
    arrays: ARRAYS.forward,
    tiled: kernels.precisions('dag', 'dag', GRAPHS),
    direct: kernels.precisions('dag', 'dagDirect', GRAPHS),
  };
  const backward = {
    arrays: ARRAYS.backward,
    tiled: kernels.precisions('dag', 'dagBackward', GRAPHS),
    direct: kernels.precisions('dag', 'dagBackwardDirect', GRAPHS),
  };
  const sumPlans = kernels.precisions('dag', 'sumPlans', 'piippi');

  function run(
    { arrays, tiled, direct }: typeof forward,
    spec: DagSpec,
    fields: DagFields<Storage>,
    upstream: Storage | null,
    values: Storage | null,
    gradients: DagFields<Target | null>,
  ): void {
    const { depth, size, maxLog } = spec;
    // A plan of its own for the only graph: nothing is to be summed up.
    const shared = spec.shared && size !== 1;
    const precision = precisionOf(fields.V_mag);
    const { threads, sharedBytes, isDirect } = shapeOf(spec, shared, precision, arrays);
    const wantsPlan = shared && (gradients.O !== null || gradients.G !== null);
    const blocks = Math.max(1, Math.min(Math.ceil(size / threads), shared || isDirect ? PARALLEL : 2 ** 16));
    const planLength = 2 * depth * depth + depth;
    const scratch = isDirect ? blocks * threads * arrays * 2 * depth : 0;
    const at = (target: Target | null): number => addressOf(target?.storage ?? null);
    kernels.withScratch('f64', scratch, ({ block: work }) =>
      kernels.withScratch('f64', shared ? blocks * planLength : 0, ({ block: partial }) => {
        const kernel = (isDirect ? direct : tiled)[precision];
        if (size > 0)
          kernel(
            [blocks],
            threads,
            sharedBytes,
            ...[fields.V_mag, fields.V_sign, fields.O, fields.G].map(addressOf),
            ...[addressOf(upstream), addressOf(values)],
            ...[at(gradients.V_mag), at(gradients.V_sign), at(gradients.O), at(gradients.G)],
            ...[accumulatedFields(gradients), depth, size, Number(shared), Math.exp(maxLog)],
            ...[partial.address, work.address],
          );
        if (wantsPlan)
          sumPlans[precision](
            kernels.gridFor(planLength),
            THREADS,
            0,
            ...[partial.address, size > 0 ? blocks : 0, depth],
            ...[at(gradients.O), at(gradients.G), accumulatedFields(gradients)],
          );
      }),
    );
  }

  /** As many threads as find room for their graphs in shared memory; where a warp does not, the kernels that need none. */
  function shapeOf({ depth }: DagSpec, shared: boolean, precision: 'f32' | 'f64', arrays: number) {
    const plan = 2 * depth * depth + depth;
    const sums = shared ? plan * 8 : 0;
    for (let threads = MOST_THREADS; threads >= WARP; threads /= 2) {
      const nodes = arrays * 2 * depth * (threads + 1) * 8;
      const plans = (plan | 1) * (shared ? 1 : threads) * bytesOf(precision);
      const sharedBytes = nodes + sums + plans;
      // More than half a multiprocessor's would leave one block alone on it.
      if (sharedBytes <= Math.min(device.sharedLimit, 96 << 10) / (threads > WARP ? 2 : 1))
        return { threads, sharedBytes, isDirect: false };
    }
    const threads = MOST_THREADS;
    device.checkShared('a shared plan', sums);
    return { threads, sharedBytes: sums, isDirect: true };
  }

  const NOTHING = { V_mag: null, V_sign: null, O: null, G: null };
  return {
    dag: (spec, fields, values) => run(forward, spec, fields, null, values, NOTHING),
    dagBackward: (spec, fields, upstream, values, gradients) =>
      run(backward, spec, fields, upstream, values, gradients),
  };
}
