import { expect, test } from '@jest/globals';
import { cast, tensor } from '@dag/executor';
import {
  addReadout,
  linearReadout,
  ModelError,
  ParameterBuilder,
  PredictorModel,
  readoutNames,
  type Readout,
  type RegisterLayout,
} from '../src/index.js';
import { GraphOps } from '../src/onnx/graph-ops.js';
import { TensorOps } from '../src/plan-predictor/array-ops.js';

/** A readout of another name with one part missing. */
const without = (part: keyof Readout): Readout =>
  ({ ...linearReadout, name: 'another', [part]: undefined }) as unknown as Readout;

test.each(['make', 'plan', 'harden', 'fields', 'losses', 'weights', 'holdsDigits', 'hasPowers'] as const)(
  'a readout without %s is not registered',
  (part) => {
    expect(() => addReadout(without(part))).toThrow(part);
    expect(readoutNames()).not.toContain('another');
  },
);

test('a hard readout that names a weight the model does not have is told so', () => {
  const missing = expect.objectContaining({
    code: 'bad-input',
    message: "the model has no weight 'plan.typo.weight'",
  });
  expect(() => new TensorOps().linear('plan.typo', tensor([[1]]))).toThrow(missing);
  const graph = new GraphOps(new Map());
  expect(() => graph.linear('plan.typo', graph.f32(1))).toThrow(missing);
});

test('two parameters of one name are an error that names it', () => {
  const build = new ParameterBuilder(0);
  build.normal('plan.up', [2, 2], 1);
  expect(() => build.constant('plan.up', [2], 0)).toThrow(
    expect.objectContaining({ code: 'bad-config', message: expect.stringMatching("'plan.up' already") }),
  );
});

test('a loss that reads a target that there is not is refused', () => {
  const losses = { mine: { targets: ['valids'], compute: () => tensor([0]) } };
  expect(() => addReadout({ ...linearReadout, name: 'another', losses } as unknown as Readout)).toThrow(
    /'mine' of 'another' reads the target 'valids'; there are valid, finite/,
  );
});

test('a loss that is no object is refused', () => {
  const losses = { mine: null };
  expect(() => addReadout({ ...linearReadout, name: 'another', losses } as unknown as Readout)).toThrow(
    expect.objectContaining({
      code: 'bad-input',
      message: expect.stringMatching("the loss 'mine' of 'another'"),
    }),
  );
});

test('a hard readout that names a layer with .weight is told so', () => {
  const parameters = new Map([['plan.up.weight', tensor([[1]])]]);
  const told = /named without \.weight: 'plan\.up', given 'plan\.up\.weight'/;
  expect(() => new TensorOps(undefined, parameters).linear('plan.up.weight', tensor([[1]]))).toThrow(told);
  const graph = new GraphOps(parameters);
  expect(() => graph.linear('plan.up.weight', graph.f32(1))).toThrow(told);
});

const predictor = (readout: string): PredictorModel =>
  new PredictorModel({
    ...{ blockSize: 8, nLayer: 1, nHead: 1, nEmbd: 4, dropout: 0, bias: true },
    ...{ tokenizer: 'char', depth: 2, digits: 2, readout },
  });

/** `linear` with some parts exchanged, made known as `name`. */
function added(name: string, parts: Partial<Readout>): string {
  addReadout({ ...(linearReadout as unknown as Readout), ...parts, name });
  return name;
}

const linear = linearReadout as unknown as Readout;
const predictOf = (width: number, layout: RegisterLayout, build: ParameterBuilder) =>
  linear.make(width, layout, build);

test('a readout whose parts give what they should is made', () => {
  expect(predictor(added('sound', {})).predict('1 + 2').tensors.depth).toBe(2);
});

test.each<[part: string, message: RegExp, parts: Partial<Readout>]>([
  [
    'make that leaves a field out',
    /G of what make of the readout '.*' gives .* given undefined/,
    {
      make: (...args) => {
        const predict = predictOf(...args);
        return (...inputs) => {
          const { V_mag, V_sign, O } = predict(...inputs);
          return { V_mag: V_mag!, V_sign: V_sign!, O: O! };
        };
      },
    },
  ],
  [
    'make that gives a field which fields does not name',
    /make of the readout '.*' gives has 'extra'/,
    {
      make: (...args) => {
        const predict = predictOf(...args);
        return (...inputs) => ({ ...predict(...inputs), extra: tensor([1]) });
      },
    },
  ],
  [
    'make that ignores `at`',
    /make with `at` of the readout/,
    {
      make: (...args) => {
        const predict = predictOf(...args);
        return (hidden, features) => predict(hidden, features, {});
      },
    },
  ],
  [
    'make that returns nothing',
    /make of the readout '.*' returns the function/,
    { make: () => undefined as never },
  ],
  [
    'plan of another shape',
    /V_mag of what plan of the readout '.*' gives is a tensor of floats \(1, 2, 4\)/,
    { plan: ({ V_sign, O, G }) => ({ V_mag: G!, V_sign: V_sign!, O: O!, G: G! }) },
  ],
  [
    'plan of two dtypes',
    /plan of the readout '.*' gives is of one dtype: V_mag is of f32, G of f64/,
    { plan: ({ V_mag, V_sign, O, G }) => ({ V_mag: V_mag!, V_sign: V_sign!, O: O!, G: cast(G!, 'f64') }) },
  ],
  [
    'harden that throws',
    /harden of the readout '.*': the model has no weight 'typo\.weight'/,
    {
      harden: (ops, hidden) => ops.linear('typo', hidden) as never,
    },
  ],
  [
    'harden that does not pick the asked token',
    /V_mag of what harden with one token that is asked \(`ops.asked`, `ops.sumSoFar`\) of the readout/,
    {
      harden: (ops, hidden, features, layout) =>
        linear.harden(
          Object.assign(Object.create(ops) as typeof ops, { asked: (x: never) => x }),
          hidden,
          features,
          layout,
        ),
    },
  ],
])('%s is found when the model is made', (part, message, parts) => {
  const name = added(part, parts);
  const error = (() => {
    try {
      return void predictor(name);
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(error).toBeInstanceOf(ModelError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toContain(name);
});
