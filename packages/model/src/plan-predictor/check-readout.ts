import { ExecutorError, noGrad, scope, zeros, type DagTensorFields, type Device } from '@dag/executor';
import { named } from '../arguments.js';
import { ModelError } from '../error.js';
import type { Parameters } from '../gpt.js';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import { TensorOps } from './array-ops.js';
import { checkFields } from './check-fields.js';
import type { RegisterLayout } from './layout.js';
import type { Readout } from './readout.js';
import { tokenFeatures } from './token-features.js';

/** Two tokens, so that the plans at all tokens and at one token per row differ in shape. */
const RECORDS: readonly TokenRecord[] = [
  { digits: [1], point: false, begins: false, kind: 0 },
  { digits: [], point: true, begins: false, kind: 1 },
];

/** The function that `make` of a readout returned, and the weights that it made. */
interface Made {
  readonly predict: ReturnType<Readout['make']>;
  readonly parameters: Parameters;
  readonly device: Device | undefined;
}

/**
 * Runs a readout once on two tokens, so that a mistake in it is found where the model is made.
 *
 * @param width C, the width of the hidden states.
 * @throws {ModelError} that names the readout and its part: `shape` if the results of `make`, `plan` or `harden` do not have the shapes of
 *   `fields`, of a plan or of a hard plan; else as that part throws, or `bad-input`.
 */
export function checkReadout(readout: Readout, width: number, layout: RegisterLayout, made: Made): void {
  const { parameters, device } = made;
  const like = device ? { device } : {};
  const { depth: D } = layout;
  const plan = { V_mag: [2 * D], V_sign: [2 * D], O: [D, 2 * D], G: [D] };
  const what = (part: string): string => `what ${part} of the readout '${readout.name}' gives`;
  const part = <T>(name: string, run: () => T): T => {
    try {
      return run();
    } catch (error) {
      throw partError(`${name} of the readout '${readout.name}'`, error);
    }
  };
  scope(() =>
    noGrad(() => {
      const hidden = zeros([1, 2, width], like);
      const features = tokenFeatures(RECORDS, [1, 2], layout, hidden);
      const sizes = part('fields', () => readout.fields(layout));
      for (const [name, size] of Object.entries(sizes))
        if (!Array.isArray(size))
          throw new ModelError(
            'shape',
            `${name} of ${what('fields')} is its shape after (B, T) as an array, given ${named(size)}`,
          );
      for (const at of [undefined, [1]]) {
        const batch = [1, at ? 1 : 2];
        const fields = part('make', () => made.predict(hidden, features, { at }));
        requireObject(what('make'), fields);
        const unknown = Object.keys(fields).find((name) => !Object.hasOwn(sizes, name));
        if (unknown !== undefined)
          throw new ModelError('shape', `${what('make')} has ${named(unknown)}, which \`fields\` does not`);
        checkFields(what(at ? 'make with `at`' : 'make'), fields, batch, sizes);
        const soft = part('plan', () => readout.plan(fields, layout));
        requireObject(what('plan'), soft);
        checkFields(what('plan'), soft, batch, plan);
        requireOneDtype(what('plan'), soft);

        const ops = new TensorOps(device, parameters, at ? new TensorOps(device).f64(at) : null);
        const decided = part('harden', () => readout.harden(ops, hidden, features, layout));
        requireObject(what('harden'), decided);
        const asked = at ? 'harden with one token that is asked (`ops.asked`, `ops.sumSoFar`)' : 'harden';
        checkFields(what(asked), decided, batch.slice(1), plan);
        for (const [name, { dtype }] of Object.entries(decided))
          if (dtype !== 'f64')
            throw new ModelError(
              'shape',
              `${name} of ${what('harden')} is of f64, as \`ops.double\` makes it, given ${dtype}`,
            );
      }
    }),
  );
}

function partError(where: string, error: unknown): unknown {
  if (error instanceof ExecutorError && error.code === 'memory') return error;
  const code = error instanceof ModelError ? error.code : 'bad-input';
  return new ModelError(code, `${where}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

function requireObject(what: string, value: unknown): void {
  if (typeof value !== 'object' || value === null)
    throw new ModelError('shape', `${what} is an object of tensors, given ${named(value)}`);
}

/** The executor computes in the dtype of a plan. */
function requireOneDtype(what: string, plan: DagTensorFields): void {
  const { V_mag, V_sign, O, G } = plan;
  for (const [name, { dtype }] of Object.entries({ V_sign, O, G }))
    if (dtype !== V_mag.dtype)
      throw new ModelError(
        'shape',
        `${what} is of one dtype: V_mag is of ${V_mag.dtype}, ${name} of ${dtype}`,
      );
}
