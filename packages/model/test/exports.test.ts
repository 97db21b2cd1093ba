/** Every export, called with whatever a caller from JavaScript may give: a result, or a typed error. */
import { afterAll, describe, it } from '@jest/globals';
import { zeros, type Tensor } from '@dag/executor';
import { tensorize, type DagTensors } from '@dag/tensorize';
import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { junk as anything, orJunk as orAnything } from '../../expr/test/junk.js';
import * as model from '../src/index.js';
import { ModelError } from '../src/index.js';

/** Not sizes that are numbers: a model of them takes as much memory, and as long. */
const isSize = (value: unknown): boolean => typeof value === 'number' && value > 64 && value < Infinity;
const junk = anything.filter((value) => !isSize(value));
const orJunk = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  orAnything(right).filter((value) => !isSize(value));

/** Sometimes with a field or two that are junk. */
function withJunk<T extends object>(right: () => T): fc.Arbitrary<T> {
  const all = Object.keys(right());
  const keys = fc.subarray(all, { maxLength: Math.min(2, all.length) });
  const wrong = fc.tuple(keys, junk, junk).map(([names, ...values]) => {
    const fields = names.map((name, i) => [name, values[i]]);
    return { ...right(), ...Object.fromEntries(fields) } as T;
  });
  return fc.oneof({ weight: 4, arbitrary: wrong }, { weight: 1, arbitrary: junk as fc.Arbitrary<T> });
}

const CONFIG: model.PredictorConfig = {
  ...{ tokenizer: 'char', blockSize: 8, nLayer: 1, nHead: 2, nEmbd: 4, dropout: 0 },
  ...{ bias: true, depth: 2, digits: 2, readout: 'decisions' },
};
const LINEAR = { ...CONFIG, readout: 'linear' } as const;
const predictor = new model.PredictorModel(CONFIG);
const linear = new model.PredictorModel(LINEAR);
const writer = new model.DagGpt(CONFIG);
const planner = new model.PlanPredictor(CONFIG, 4, new model.ParameterBuilder(1));
const gpt = new model.Gpt({ ...CONFIG, vocabSize: 10 }, new model.ParameterBuilder(1));
const FILE = predictor.save();
const WEIGHTS = model.decodeSafetensors(FILE);
const folder = mkdtempSync(join(tmpdir(), 'dag-exports-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = orJunk(fc.constantFrom('1+2', '2*(3-4)', ''));
const texts = orJunk(fc.array(text, { maxLength: 3 }));
const config = withJunk(() => CONFIG);
const options = withJunk(() => ({ seed: 1, device: 'reference' as const }));
const index = orJunk(fc.constantFrom(0, 1));
const ids = orJunk(fc.constantFrom(Int32Array.of(1, 2, 3, 4), [1, 2, 3, 4], [-1, 2, 0.5]));
const shape = orJunk(fc.constantFrom([1, 4], [2, 2], [4, 1], [2, 3], [4]));
const bytes = orJunk(
  fc.oneof(
    fc.constantFrom<model.FileBytes>(FILE, [FILE.subarray(0, 20), FILE.subarray(20)], FILE.subarray(1)),
    fc.array(junk, { maxLength: 2 }) as fc.Arbitrary<Uint8Array[]>,
  ),
);
const safeTensor = withJunk<model.SafeTensor>(() => ({
  dtype: 'F32',
  shape: [2],
  data: Float32Array.of(1, 2),
}));
const safeTensors = orJunk(
  fc
    .array(fc.tuple(orJunk(fc.constantFrom('a', 'b')), safeTensor), { maxLength: 2 })
    .map((all) => new Map(all)),
);
const metadata = orJunk(fc.record({ a: orJunk(fc.constant('b')) }));
const x = orJunk(fc.constantFrom([1, 2, 4], [2, 2], [4]).map((of): Tensor => zeros(of)));
const at = orJunk(fc.constantFrom([0], [1], [2], [0, 1], [0.5]));
const reading = fc.oneof(
  withJunk(() => ({ at: [0] })),
  at.map((tokens) => ({ at: tokens })),
);
const plan = withJunk<DagTensors>(() => tensorize('1 + 2', { depth: 2 }));
const layout = withJunk<model.RegisterLayout>(() => ({ depth: 2, digits: 2 }));
const { fields: decided } = predictor.forward(Int32Array.of(1, 2), [1, 2]);
const { fields: soft } = linear.forward(Int32Array.of(1, 2), [1, 2]);
const wrongTensor = fc.oneof(
  fc.constant(new Proxy(zeros([1, 2]), {})),
  orJunk(fc.constantFrom([1, 2], [1, 2, 3], [2, 2, 3]).map((of) => zeros(of))),
);
/** With a field or two of another shape, or that are junk. */
const withTensors = <T extends object>(right: T): fc.Arbitrary<T> =>
  fc.oneof(
    withJunk(() => right),
    fc
      .dictionary(fc.constantFrom(...Object.keys(right)), wrongTensor, { maxKeys: 1 })
      .map((wrong) => ({ ...right, ...wrong })),
  );
const prediction = fc.oneof(
  withTensors(decided).map((fields) => ({ readout: 'decisions', fields })),
  withTensors(soft).map((fields) => ({ readout: 'linear', fields })),
  withJunk(() => ({ readout: 'decisions', fields: decided })),
);
const records = orJunk(
  fc.array(
    withJunk(() => predictor.tokenizer.record(20)),
    { minLength: 2, maxLength: 2 },
  ),
);
const inputs = withTensors(predictor.inputs(Int32Array.of(1, 2), [1, 2]));
const position = orJunk(fc.constantFrom(-1, 0, 7, 8, zeros([2], { dtype: 'i32' })));
const forwarding = fc.oneof(
  withJunk(() => ({ dropoutSeed: 1, position: 1 })),
  position.map((from) => ({ position: from })),
  orJunk(fc.constantFrom(1, 2).map((layers) => new model.KeyValueCache(layers))).map((cache) => ({ cache })),
);
const saving = withJunk(() => ({ dtype: 'F16' }));
const path = orJunk(fc.constantFrom('nowhere', 'a/b').map((name) => join(folder, name)));
/** Not text: that may be the name of a file to write. */
const safePath = orJunk(fc.constantFrom('a', 'b').map((name) => join(folder, name))).filter(
  (value) => typeof value !== 'string' || value.startsWith(folder),
);
const generation = withJunk(() => ({ maxNewTokens: 2, temperature: 1, topK: 2, seed: 1, stop: '=' }));
const rows = withJunk(() => ({ shape: [1, 2], index: Int32Array.of(0, 1) }));
type Call = (...args: never[]) => unknown;
type Case = readonly [Call, ...fc.Arbitrary<unknown>[]];
/** With `new`, of arguments without types. */
const made =
  (make: new (...args: never[]) => unknown): Call =>
  (...args) =>
    new make(...args);

type Constants =
  | ('GPT2_NAMES' | 'DEFAULT_READOUT' | 'FAULTS' | 'TARGET_NAMES')
  | ('DECISIONS' | 'NESTING' | 'THEN')
  | ('linearReadout' | 'decisionsReadout' | 'PLACE_CLASSES');

/** Of this package, and of those that it passes its arguments on to. */
const TYPED = ['ModelError', 'ExecutorError', 'ExprError', 'TensorizeError'];

const calls: Record<Exclude<keyof typeof model, Constants>, Case> = {
  DagGpt: [made(model.DagGpt), config, options],
  ModelError: [(message: string) => new ModelError('bad-input', message), fc.string()],
  PredictorModel: [made(model.PredictorModel), config, options],
  ParameterBuilder: [
    (seed: never, device: never, name: never, of: never, std: never) => {
      const build = new model.ParameterBuilder(seed, device);
      build.constant(name, of, std);
      build.normal(name, of, std);
    },
    ...[orJunk(fc.constantFrom(1, null)), orJunk(fc.constant('reference'))],
    ...[fc.string(), shape, index],
  ],
  Gpt: [
    (of: never, seed: never) => new model.Gpt(of, new model.ParameterBuilder(seed)),
    withJunk(() => ({ ...CONFIG, vocabSize: 10 })),
    index,
  ],
  PlanPredictor: [
    (of: never, width: never) => new model.PlanPredictor(of, width, new model.ParameterBuilder(1)),
    config,
    index,
  ],
  KeyValueCache: [(layers: never) => new model.KeyValueCache(layers).tensors(), index],
  OnnxPredictor: [
    model.OnnxPredictor.load,
    bytes,
    withJunk(() => ({ executionProviders: ['cpu'], threads: 1 })),
  ],
  isGpt2Name: [model.isGpt2Name, text],
  loadGpt2: [model.loadGpt2, path, withJunk(() => ({ cacheFolder: folder }))],
  exportOnnx: [
    model.exportOnnx,
    orJunk(fc.constantFrom(predictor, linear)),
    orJunk(fc.constantFrom({}, { depth: 3 })),
  ],
  decisionOf: [model.decisionOf, text],
  decidedPrefixes: [
    model.decidedPrefixes,
    withJunk(() => ({
      records: [{ digits: [1], minus: false, point: false, begins: true, kind: 0 }],
      ...{ decisions: [0], nestings: [0] },
    })),
    layout,
  ],
  decidedTensors: [
    model.decidedTensors,
    withJunk(() => ({
      records: [{ digits: [1], point: false, begins: true, kind: 0 }],
      ...{ decisions: [0], nestings: [0] },
    })),
    layout,
  ],
  expressionOf: [model.expressionOf, plan],
  smallestPlan: [model.smallestPlan, plan],
  meanOver: [model.meanOver, x, x],
  commasOf: [model.commasOf, orJunk(fc.double())],
  placesOf: [model.placesOf, text, orJunk(fc.double())],
  writeValue: [
    model.writeValue,
    orJunk(fc.double()),
    withJunk(() => ({ places: 1, isGrouped: true, isSpaced: false })),
  ],
  binaryNll: [model.binaryNll, x, x],
  addReadout: [model.addReadout, withJunk(() => model.linearReadout)],
  readoutOf: [model.readoutOf, fc.oneof(fc.constant('linear'), text)],
  readoutNames: [model.readoutNames],
  loadSafetensors: [model.loadSafetensors, path],
  saveSafetensors: [model.saveSafetensors, safePath, safeTensors, metadata],
  decodeSafetensors: [model.decodeSafetensors, bytes, fc.string()],
  encodeSafetensors: [model.encodeSafetensors, safeTensors, metadata],
  safetensorsPieces: [
    (all: never, about: never) => [...model.safetensorsPieces(all, about)],
    safeTensors,
    metadata,
  ],
  toFloat16: [model.toFloat16, orJunk(fc.constant(Float32Array.of(1, NaN)))],
  toFloat32: [model.toFloat32, safeTensor],
  predictionAt: [model.predictionAt, prediction, at],
  tokenFeatures: [model.tokenFeatures, records, shape, layout, orJunk(fc.constant(zeros([1])))],
  tokenizer: [model.tokenizer, orJunk(fc.constantFrom('char', 'gpt2'))],
};

const { tokenizer } = predictor;
const methods: Record<string, Case> = {
  'PredictorModel.load': [model.PredictorModel.load, bytes, options],
  'PredictorModel.load of junk weights': [
    (name: string, weight: model.SafeTensor, about: never) => {
      const tensors = new Map(WEIGHTS.tensors).set(name, weight);
      return model.PredictorModel.load(model.encodeSafetensors(tensors, about));
    },
    ...[fc.constantFrom('wte.weight', 'wte.rows', 'h.0.ln_1.bias'), safeTensor],
    fc
      .tuple(fc.constantFrom(...Object.keys(CONFIG)), fc.jsonValue())
      .filter(([, value]) => !isSize(value))
      .map(([key, value]) => ({ config: JSON.stringify({ ...CONFIG, [key]: value }) })),
  ],
  'PredictorModel.forward': [
    (...args) => predictor.forward(...(args as [never, never])),
    ids,
    shape,
    reading,
  ],
  'PredictorModel.forwardInputs': [
    (...args) => predictor.forwardInputs(...(args as [never, never])),
    ...[inputs, fc.oneof(reading, forwarding)],
  ],
  'PredictorModel.plan': [(...args) => predictor.plan(...(args as [never])), prediction],
  'PredictorModel.plan of a linear readout': [(...args) => linear.plan(...(args as [never])), prediction],
  'PredictorModel.hardPlan': [
    (...args) => predictor.hardPlan(...(args as [never, never])),
    ids,
    shape,
    reading,
  ],
  'PredictorModel.hardPlan of a linear readout': [
    (...args) => linear.hardPlan(...(args as [never, never])),
    ...[ids, shape, reading],
  ],
  'PlanPredictor.hardPlan': [(...args) => planner.hardPlan(...(args as [never, never])), x, records, reading],
  'PlanPredictor.forward': [(...args) => planner.forward(...(args as [never, never])), x, inputs, reading],
  'Gpt.forward': [
    (...args) => gpt.forward(...(args as [never])),
    orJunk(fc.constantFrom([1, 2], [2, 9]).map((of) => zeros(of, { dtype: 'i32' }))),
    forwarding,
  ],
  'Gpt.logits': [(...args) => gpt.logits(...(args as [never])), x, x],
  'PredictorModel.inputs': [(...args) => predictor.inputs(...(args as [never, never])), ids, shape],
  'PredictorModel.predict': [(t: never) => predictor.predict(t), text],
  'PredictorModel.predictPrefixes': [
    (t: never, token: never) => predictor.predictPrefixes(t).at(token),
    text,
    index,
  ],
  'PredictorModel.predictPlans': [(t: never) => predictor.predictPlans(t), texts],
  'PredictorModel.doubt': [(t: never, value: never) => predictor.doubt(t, value), text, index],
  'PredictorModel.reads': [(t: never) => predictor.reads(t), text],
  'PredictorModel.wereTrained': [(of: never) => predictor.wereTrained(of), ids],
  'PredictorModel.save': [(of: never) => predictor.save(of), saving],
  'DagGpt.load': [model.DagGpt.load, bytes, options],
  'DagGpt.forward': [
    (...args) => writer.forward(...(args as [never, never])),
    ...[
      ids,
      shape,
      fc.oneof(
        reading,
        rows.map((expressions) => ({ expressions })),
      ),
    ],
  ],
  'DagGpt.inputs': [(...args) => writer.inputs(...(args as [never, never])), ...[ids, shape, orJunk(rows)]],
  'DagGpt.forwardInputs': [
    (...args) => writer.forwardInputs(...(args as [never])),
    ...[withTensors(writer.inputs(Int32Array.of(1, 2), [1, 2], { shape: [1, 1], index: Int32Array.of(1) }))],
    forwarding,
  ],
  'DagGpt.nextTokens': [
    (...args) => writer.nextTokens(...(args as [never])),
    ids,
    withJunk(() => ({ of: 3, size: 4 })),
  ],
  'DagGpt.nextLoss': [
    (...args) => writer.nextLoss(...(args as [never, never])),
    ...[x, withTensors(writer.nextTokens(Int32Array.of(1, -1)))],
  ],
  'DagGpt.textLoss': [(h: never, t: never) => writer.textLoss(h, t), x, ids],
  'DagGpt.tokenLogits': [(h: never) => writer.tokenLogits(h), x],
  'DagGpt.computedIn': [
    (...args) => writer.computedIn(...(args as [never])),
    ids,
    orJunk(fc.constant(new Set([1]))),
  ],
  'DagGpt.logits': [(h: never) => writer.logits(h), x],
  'DagGpt.plan': [(...args) => writer.plan(...(args as [never])), prediction],
  'DagGpt.hardPlan': [(...args) => writer.hardPlan(...(args as [never, never])), ids, x, reading],
  'DagGpt.readExpressions': [
    (...args) => writer.readExpressions(...(args as [never, never])),
    ids,
    x,
    reading,
  ],
  'DagGpt.generate': [(...args) => writer.generate(...(args as [never, never])), text, generation],
  'DagGpt.save': [(of: never) => writer.save(of), saving],
  'Tokenizer.encode': [(t: never) => tokenizer.encode(t), text],
  'Tokenizer.encode of gpt2': [(t: never) => model.tokenizer('gpt2').encode(t), text],
  'Tokenizer.decode': [(of: never) => tokenizer.decode(of), ids],
  'Tokenizer.records of gpt2': [(of: never) => model.tokenizer('gpt2').records(of), ids],
  'Tokenizer.encodeSigns': [(t: never) => model.tokenizer('gpt2').encodeSigns(t), text],
  'Tokenizer.record': [(id: never) => tokenizer.record(id), index],
};

describe('calls without types', () => {
  it.each(Object.entries({ ...calls, ...methods }))(
    '%s gives a result or a typed error',
    async (_, [f, ...args]) => {
      await fc.assert(
        fc.asyncProperty(fc.tuple(...args), async (given) => {
          try {
            await f(...(given as never[]));
          } catch (error) {
            if (!TYPED.includes((error as Error).name)) throw error;
          }
        }),
        { numRuns: 200, endOnFailure: true },
      );
    },
  );
});
