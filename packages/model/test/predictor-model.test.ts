import { describe, expect, it } from '@jest/globals';
import { execute, type DagTensorFields } from '@dag/executor';
import { evaluate, parse } from '@dag/expr';
import { detensorize, type DagTensors } from '@dag/tensorize';
import {
  decodeSafetensors,
  encodeSafetensors,
  exportOnnx,
  ModelError,
  predictionAt,
  PredictorModel,
  type PredictedValue,
  type PredictorConfig,
} from '../src/index.js';
import { backendOf } from '../../executor/src/devices.js';
import { OPERATORS } from '../src/reading/decisions.js';

const READOUTS: readonly string[] = ['decisions', 'linear'];
const configOf = (readout: string): PredictorConfig => ({
  tokenizer: 'char',
  blockSize: 16,
  nLayer: 2,
  nHead: 2,
  nEmbd: 8,
  dropout: 0.1,
  bias: true,
  depth: 3,
  digits: 3,
  readout,
});

/** Weights as large as trained ones: plans that differ from text to text. */
function lively(readout: string, seed = 5): PredictorModel {
  const model = new PredictorModel(configOf(readout), { seed });
  for (const p of model.parameters.values()) if (p.shape.length === 2) p.set(p.dataSync().map((w) => 20 * w));
  return model;
}

/** A prediction, also of a text that the model refuses. */
function predicted(model: PredictorModel, text: string): PredictedValue {
  try {
    return model.predict(text);
  } catch (error) {
    if (error instanceof ModelError && error.reading) return error.reading;
    throw error;
  }
}

const texts = ['2.5 * 3', '-(1 + 2) / 7', '12', '4 - -5', 'hello?'];

describe.each(READOUTS)("a model with readout '%s'", (readout) => {
  it('has the same bits for the same seed, and others for another', () => {
    const bytes = (seed: number): Uint8Array => new PredictorModel(configOf(readout), { seed }).save();
    expect(bytes(1)).toEqual(bytes(1));
    expect(bytes(1)).not.toEqual(bytes(2));
  });

  it('predicts a plan, its value, and an expression of that value', () => {
    const model = lively(readout);
    const values = texts.map((text) => {
      const { text: read, value, expression, tensors } = predicted(model, text);
      expect(read).toBe(text);
      const { depth: D, size } = tensors;
      if (readout !== 'decisions') expect(D).toBe(3);
      expect(size).toBe(1);
      expect([tensors.V_mag, tensors.V_sign, tensors.O, tensors.G].map((field) => field.length)).toEqual([
        ...[2 * D, 2 * D, 2 * D * D, D],
      ]);
      expect(execute(tensors)[0]).toBe(value);
      // Halves have no expression.
      if (tensors.O.every(Number.isInteger)) {
        expect(evaluate(detensorize(tensors))).toBe(value);
        expect(evaluate(parse(expression))).toBe(value);
      }
      return value;
    });
    expect(new Set(values).size).toBeGreaterThan(1);
  });

  it('makes every choice in a plan: gates and signs are whole, coefficients are those of operators, and no step reads a later node', () => {
    const { V_mag, V_sign, O, G, depth: D } = lively(readout).predictPlans(texts);
    expect([...V_mag].every((m) => m >= 0)).toBe(true);
    expect([...V_sign].every((s) => s === 1 || s === -1)).toBe(true);
    const coefficients = OPERATORS.flatMap((operator) => [operator.left, operator.right]);
    const isChosen =
      readout === 'decisions' ? (c: number) => c % 1 === 0 || coefficients.includes(c) : Number.isInteger;
    expect([...O].every((c) => isChosen(c))).toBe(true);
    expect([...G].every((g) => g === 0 || g === 1)).toBe(true);
    O.forEach((c, i) => {
      const [step, node] = [Math.floor(i / (2 * D)) % D, i % (2 * D)];
      if (node >= D + step) expect(c).toBe(0);
    });
  });

  it('predicts for each of several texts what it predicts for it alone', () => {
    const model = lively(readout);
    const together = model.predictPlans(texts);
    expect(together.size).toBe(texts.length);
    const row = (field: Float64Array, i: number): number[] => {
      const size = field.length / texts.length;
      return Array.from(field.slice(i * size, (i + 1) * size));
    };
    texts.forEach((text, i) => {
      const alone = model.predictPlans([text]);
      for (const field of ['O', 'G', 'V_sign', 'V_mag'] as const)
        expect([text, field, row(together[field], i)]).toEqual([text, field, [...alone[field]]]);
    });
  });

  it('predicts the same after it was saved and loaded', () => {
    const model = lively(readout);
    const loaded = PredictorModel.load(model.save());
    expect(loaded.config).toEqual(model.config);
    expect(loaded.save()).toEqual(model.save());
    const plans = (of: PredictorModel): DagTensors => of.predictPlans(texts);
    expect(plans(loaded)).toEqual(plans(model));
    expect(predicted(loaded, '2 + 3')).toEqual(predicted(model, '2 + 3'));
  });

  it('is saved in half the bytes as halves, without the embeddings that are zero', () => {
    const model = lively(readout);
    const embedding = model.parameters.get('wte.weight')!;
    const used = new Set(texts.flatMap((text) => model.tokenizer.encode(text)));
    embedding.set(embedding.dataSync().map((w, i) => (used.has(Math.floor(i / 8)) ? w : 0)));
    const file = model.save({ dtype: 'F16' });
    expect(file.length).toBeLessThan(0.6 * lively(readout).save().length);
    const { tensors } = decodeSafetensors(file);
    expect([...(tensors.get('wte.rows')!.data as Int32Array)]).toEqual([...used].sort((a, b) => a - b));
    expect(tensors.get('wte.weight')).toMatchObject({ dtype: 'F16', shape: [used.size, 8] });
    const loaded = PredictorModel.load(file);
    for (const [name, p] of loaded.parameters) {
      const weights = model.parameters.get(name)!.dataSync();
      p.dataSync().forEach((w, i) =>
        expect(Math.abs(w - weights[i]!)).toBeLessThanOrEqual(2 ** -11 * Math.abs(weights[i]!) + 2 ** -25),
      );
    }
    expect(loaded.save({ dtype: 'F16' })).toEqual(file);
  });

  it('is causal: later tokens change no bit of the plan at an earlier one, soft or hard', () => {
    const model = lively(readout, 3);
    const planOf = (text: string, hard: boolean): DagTensorFields => {
      const ids = Int32Array.from(model.tokenizer.encode(text));
      return hard ? model.hardPlan(ids, [1, ids.length]) : model.plan(model.forward(ids, [1, ids.length]));
    };
    const before = (plan: DagTensorFields, tokens: number): number[][] =>
      [plan.V_mag, plan.V_sign, plan.O, plan.G].map((field) =>
        Array.from(field.dataSync().slice(0, (tokens * field.size) / field.shape[1]!)),
      );
    const [text, other] = ['2.5 * (3 - 14)', '2.5 * -7 + 86.'];
    const shared = '2.5 * '.length;
    for (const hard of [false, true]) {
      const [a, b] = [planOf(text, hard), planOf(other, hard)];
      expect(before(b, shared)).toEqual(before(a, shared));
      expect(before(planOf(text.slice(0, shared), hard), shared)).toEqual(before(a, shared));
      expect(before(b, text.length)).not.toEqual(before(a, text.length));
    }
  });

  it('says at one token of each text what it says there among all', () => {
    const model = lively(readout);
    const rows = ['2.5 * (3 - 14)', '-7.25 + 86 / 1'].map((text) => model.tokenizer.encode(text));
    const ids = Int32Array.from(rows.flat());
    for (const at of [
      [13, 13],
      [6, 2],
    ]) {
      const alone = model.plan(model.forward(ids, [2, 14], { at }));
      const among = model.plan(predictionAt(model.forward(ids, [2, 14]), at));
      for (const field of ['V_mag', 'V_sign', 'O', 'G'] as const) {
        expect(alone[field].shape).toEqual(among[field].shape);
        const expected = among[field].dataSync();
        alone[field].dataSync().forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 4));
      }
    }
  });

  it('refuses a token of another row', () => {
    const model = lively(readout);
    const ids = Int32Array.from(model.tokenizer.encode('2 + 3'.repeat(2)));
    for (const at of [[5, 0], [-1, 0], [0], new Array<number>(2)]) {
      const message = /at is an array of a token of 0 … 4 for each of 2 rows/;
      expect(() => model.forward(ids, [2, 5], { at })).toThrow(message);
      expect(() => predictionAt(model.forward(ids, [2, 5]), at)).toThrow(message);
    }
  });

  it('reads no plan from a prediction of another depth', () => {
    const model = lively(readout);
    const other = new PredictorModel({ ...model.config, depth: model.config.depth + 1 });
    const ids = Int32Array.from(model.tokenizer.encode('2 + 3'));
    expect(() => model.plan(other.forward(ids, [1, ids.length]))).toThrow(ModelError);
  });

  it('drops nothing when it predicts, and something where it trains', () => {
    const model = lively(readout);
    const ids = Int32Array.from(model.tokenizer.encode('2 + 3'));
    const magnitudes = (dropoutSeed?: number): number[] =>
      Array.from(model.plan(model.forward(ids, [1, ids.length], { dropoutSeed })).V_mag.dataSync());
    expect(magnitudes()).toEqual(magnitudes());
    expect(magnitudes(3)).toEqual(magnitudes(3));
    expect(magnitudes(3)).not.toEqual(magnitudes());
  });

  it('reads the signs of print as those of keyboards', () => {
    const model = lively(readout);
    expect(model.predictPlans(['−2 × 3 ÷ 4·5'])).toEqual(model.predictPlans(['-2 * 3 / 4*5']));
    expect(model.predictPlans(['Minus FIVE'])).toEqual(model.predictPlans(['minus five']));
    expect(model.predictPlans(['WHAT IS 5'])).toEqual(model.predictPlans(['What is 5']));
  });

  it('reads texts of one to blockSize tokens, without the space around them', () => {
    const model = new PredictorModel(configOf(readout));
    const fits = '1'.repeat(16);
    expect(['2', fits, `  ${fits} `, `${fits}1`, '', '  '].map((text) => model.reads(text))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(model.predictPlans([` ${fits}\n`])).toEqual(model.predictPlans([fits]));
    const refusal = (message: RegExp) =>
      expect.objectContaining({
        name: 'ModelError',
        code: 'bad-input',
        message: expect.stringMatching(message),
      });
    expect(() => model.predict(' ')).toThrow(refusal(/the text is empty/));
    expect(() => model.predict(`${fits}1`)).toThrow(refusal(/has 17 tokens, this model reads up to 16/));
    expect(() => model.predictPlans(['2', ''])).toThrow(refusal(/texts\[1\] is empty/));
    expect(() => model.predictTexts([])).toThrow(refusal(/at least one text/));
    // Far too long to be cut into tokens first.
    const endless = 'a'.repeat(20_000_000);
    expect(() => model.predict(endless)).toThrow(
      refusal(/has 20000000 characters, the 16 tokens that this model reads have at most 32/),
    );
    expect(model.reads(endless)).toBe(false);
    expect(() => model.predict(5 as unknown as string)).toThrow(refusal(/the text is not a string, but 5/));
  });
});

describe('doubt', () => {
  const model = new PredictorModel(configOf('linear'));

  it('is none where the text means what the model read', () => {
    expect(model.doubt('1 / 3 + 2', 1 / 3 + 2)).toBeNull();
    expect(model.doubt('0 / 0', NaN)).toBeNull();
    expect(model.doubt('What is 2 plus 3?', 5)).toBeNull();
    expect(model.doubt('1234 + 1', 1235)).toBeNull();
  });

  it.each([
    ['2 + 3', 6, /the text means 5, this model reads 6/],
    ['2 + 3§', 5, /the text has `§`, which this model has never seen/],
    ['2 + 3\u202e\0', 5, /the text has `U\+202E`, `U\+0000`, which this model has never seen/],
    ['2 3', 5, /is not understood as an expression: An operator is missing/],
    ['hello', 0, /is not understood as an expression: The variable 'hello' has no value/],
    [
      '1 + 2 + 3 + 4',
      10,
      /^the text does not fit into this model: .*needs 4 numbers and 1 step, depth 3 holds 3/,
    ],
  ])('says what is wrong with %j', (text, value, why) => {
    expect(model.doubt(text, value)).toMatch(why);
  });

  it('names words whose tokens were never trained: embeddings that are all zero', () => {
    const partly = new PredictorModel({ ...configOf('linear'), tokenizer: 'gpt2' });
    const embedding = partly.parameters.get('wte.weight')!;
    const zero = new Set(partly.tokenizer.encode(' eval multip'));
    embedding.set(embedding.dataSync().map((w, i) => (zero.has(Math.floor(i / 8)) ? 0 : w)));
    const unseen = 'the text has `eval multip`, which this model has never seen';
    expect(partly.doubt('2 eval multip 3', 6)).toBe(unseen);
    expect(PredictorModel.load(partly.save()).doubt('2 eval multip 3', 6)).toBe(unseen);
    expect(partly.doubt('2 * 3', 6)).toBeNull();
  });

  it('takes no finite value for an infinite one', () => {
    expect(model.doubt('1 / 0', 7)).toBe('the text means Infinity, this model reads 7');
    expect(model.doubt('1 / 0', Infinity)).toBeNull();
  });

  it('is none where a model without a fixed layout sums in the order of its plan', () => {
    const reader = new PredictorModel(configOf('decisions'));
    // 0.1 + 0.2 - 0.3, where the text has 0.1 - 0.3 + 0.2.
    expect(reader.doubt('0.1 - 0.1 * 3 + 0.2', 0)).toBeNull();
    expect(reader.doubt('0.1 - 0.1 * 3 + 0.2', 1e-9)).toMatch(/^the text means -2\.7\d+e-17, this/);
    expect(reader.doubt('x', 1)).toBeNull();
    // A plan of 10,000 numbers would take gigabytes.
    expect(reader.doubt(`one${' plus one'.repeat(9999)}`, 1)).toBe(
      'the text means 10000, this model reads 1',
    );
  });

  it('is part of what is predicted', () => {
    const { text, value, doubt } = model.predict('2 3');
    expect(doubt).toBe(model.doubt(text, value));
  });
});

it('keeps recordings of few lengths of texts, whatever lengths and numbers of digits it reads', () => {
  const model = new PredictorModel({
    ...{ tokenizer: 'words', readout: 'decisions', depth: 8, digits: 30, blockSize: 128 },
    ...{ nLayer: 1, nHead: 1, nEmbd: 8, dropout: 0, bias: true },
  });
  const backend = backendOf(model.parameters.get('wte.weight')!.device);
  const [allocate, free] = [backend.allocate, backend.free];
  let live = 0;
  backend.allocate = (...request) => {
    const storage = allocate.apply(backend, request);
    live += storage.capacity;
    return storage;
  };
  backend.free = (storage) => {
    live -= storage.capacity;
    free.call(backend, storage);
  };
  try {
    for (let words = 0; words <= 32; words++)
      for (const digits of [5, 15, 25])
        // The first call runs, the second records, and the third one repeats what is recorded.
        for (let call = 0; call < 3; call++)
          model.predictPlans([`${'1'.repeat(digits)}${' please'.repeat(words)}`]);
    // Recordings of each length by itself took four times as much.
    expect(live).toBeLessThan(2e6);
  } finally {
    Object.assign(backend, { allocate, free });
  }
});

describe.each(READOUTS)("a model of readout '%s' whose weights are no numbers", (readout) => {
  it.each(['wte.weight', 'ln_f.bias', readout === 'linear' ? 'plan.V_mag.weight' : 'plan.decide.bias'])(
    'predicts nothing: %s',
    (name) => {
      for (const value of [NaN, Infinity]) {
        const broken = lively(readout);
        const p = broken.parameters.get(name)!;
        p.set(p.dataSync().map(() => value));
        const refusal = expect.objectContaining({ name: 'ModelError', code: 'not-finite' });
        expect(() => broken.predict('2 + 3')).toThrow(refusal);
        expect(() => broken.hardPlan(Int32Array.of(18, 19), [1, 2])).toThrow(refusal);
        expect(() => exportOnnx(broken)).toThrow(refusal);
      }
    },
  );
});

describe('a file that is none of this model', () => {
  const file = new PredictorModel(configOf('decisions')).save();
  const { tensors, metadata } = decodeSafetensors(file);
  const without = (name: string) => new Map([...tensors].filter(([key]) => key !== name));
  const small = { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) } as const;

  it.each<[string, Uint8Array, string, RegExp]>([
    [
      'a weight is missing',
      encodeSafetensors(without('h.1.mlp.c_fc.weight'), metadata),
      'bad-file',
      /the weight 'h\.1\.mlp\.c_fc\.weight' is missing/,
    ],
    [
      'a weight has another shape',
      encodeSafetensors(new Map(tensors).set('wpe.weight', small), metadata),
      'bad-file',
      /'wpe\.weight' has shape \(2, 3\), this model needs \(16, 8\)/,
    ],
    [
      'a weight is too many',
      encodeSafetensors(new Map(tensors).set('extra', small), metadata),
      'bad-file',
      /has a weight 'extra' that this model does not have/,
    ],
    [
      'its rows are not those of the embedding',
      encodeSafetensors(
        new Map(tensors).set('wte.rows', { dtype: 'I32', shape: [1], data: Int32Array.of(7) }),
        metadata,
      ),
      'bad-file',
      /'wte\.rows' does not say which rows of 'wte\.weight' the file has/,
    ],
    [
      'rows of the embedding have another width',
      encodeSafetensors(
        new Map(tensors)
          .set('wte.rows', { dtype: 'I32', shape: [2], data: Int32Array.of(7, 8) })
          .set('wte.weight', small),
        metadata,
      ),
      'bad-file',
      /'wte\.weight' has shape \(2, 3\), this model needs \(\d+, 8\)/,
    ],
    ['it has no configuration', encodeSafetensors(tensors), 'bad-file', /holds no model configuration/],
    [
      'its configuration is no JSON',
      encodeSafetensors(tensors, { config: '{' }),
      'bad-file',
      /holds no model configuration/,
    ],
    [
      'its configuration is no object',
      encodeSafetensors(tensors, { config: 'null' }),
      'bad-file',
      /holds no model configuration/,
    ],
    [
      'its configuration is of no model',
      encodeSafetensors(tensors, { config: JSON.stringify({ ...configOf('decisions'), nHead: 3 }) }),
      'bad-config',
      /nEmbd is divisible by nHead/,
    ],
    [
      'its configuration names no readout',
      encodeSafetensors(tensors, { config: JSON.stringify({ ...configOf('decisions'), readout: 'mlp' }) }),
      'bad-config',
      /readout is 'decisions' or 'linear', given 'mlp'/,
    ],
    ['its configuration is empty', encodeSafetensors(tensors, { config: '{}' }), 'bad-config', /./],
    [
      'its rows are no 32-bit integers',
      encodeSafetensors(
        new Map(tensors).set('wte.rows', {
          dtype: 'I64',
          shape: [100],
          data: BigInt64Array.from({ length: 100 }, (_, i) => BigInt(i)),
        }),
        metadata,
      ),
      'bad-file',
      /'wte\.rows' does not say which rows/,
    ],
    [
      'its rows are fractions',
      encodeSafetensors(
        new Map(tensors).set('wte.rows', {
          dtype: 'F32',
          shape: [100],
          data: Float32Array.from({ length: 100 }, (_, i) => i / 2),
        }),
        metadata,
      ),
      'bad-file',
      /'wte\.rows' does not say which rows/,
    ],
    [
      'a row comes twice',
      encodeSafetensors(
        new Map(tensors).set('wte.rows', {
          dtype: 'I32',
          shape: [100],
          data: Int32Array.from({ length: 100 }, (_, i) => Math.max(1, i)),
        }),
        metadata,
      ),
      'bad-file',
      /'wte\.rows' does not say which rows/,
    ],
    [
      'a weight is no float',
      encodeSafetensors(
        new Map(tensors).set('ln_f.weight', { dtype: 'I32', shape: [8], data: new Int32Array(8) }),
        metadata,
      ),
      'bad-file',
      /'ln_f\.weight' has the dtype I32, expected floats/,
    ],
    [
      'a weight is NaN',
      encodeSafetensors(
        new Map(tensors).set('ln_f.weight', {
          dtype: 'F32',
          shape: [8],
          data: Float32Array.of(1, 1, NaN, 1, 1, 1, 1, 1),
        }),
        metadata,
      ),
      'not-finite',
      /'ln_f\.weight' is NaN at element 2/,
    ],
    [
      'a weight is beyond F32',
      encodeSafetensors(
        new Map(tensors).set('ln_f.weight', {
          dtype: 'F64',
          shape: [8],
          data: new Float64Array(8).fill(1e39),
        }),
        metadata,
      ),
      'not-finite',
      /'ln_f\.weight' is Infinity at element 0/,
    ],
    ['it is no safetensors file', Uint8Array.of(1, 2, 3), 'bad-file', /./],
  ])('is refused where %s', (_, bytes, code, message) => {
    const load = (): unknown => PredictorModel.load(bytes);
    expect(load).toThrow(ModelError);
    expect(load).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  it.each<[object, string, RegExp]>([
    [{ nLayer: 1e9 }, 'bad-file', /'h\.2\.ln_1\.weight' is missing/],
    [{ nLayer: 1e12 }, 'bad-config', /nLayer is a whole number from 1 to 2147483647, given 1000000000000/],
    [{ nLayer: 1 }, 'bad-file', /has a weight 'h\.1\./],
    [{ nEmbd: 2e9 }, 'bad-file', /'wte\.weight' has shape \(100, 8\), this model needs \(100, 2000000000\)/],
    [{ blockSize: 1e9 }, 'bad-file', /'wpe\.weight' has shape \(16, 8\)/],
    [{ depth: 1e6 }, 'bad-config', /a plan has a depth from 1 to 256, given 1000000/],
    [{ bias: false }, 'bad-file', /has a weight 'h\.0\.attn\.c_attn\.bias'/],
    [{ bias: 'no' }, 'bad-config', /bias is true or false, given 'no'/],
    [{ tokenizer: 'gpt2' }, 'bad-file', /this model needs \(50257, 8\)/],
    [{ dropout: { toString: 1 } }, 'bad-file', /holds no model configuration/],
  ])(
    'is refused where its configuration claims %j, before memory is taken for it',
    (claim, code, message) => {
      const config = JSON.stringify({ ...configOf('decisions'), ...claim });
      expect(() => PredictorModel.load(encodeSafetensors(tensors, { config }))).toThrow(
        expect.objectContaining({ name: 'ModelError', code, message: expect.stringMatching(message) }),
      );
    },
  );

  it.each([
    [{ depth: 0 }, /a plan has a depth from 1 to 256, given 0/],
    [{ digits: 31 }, /digits is from 1 to 30, given 31/],
  ])('and so is a configuration with %j', (wrong, message) => {
    expect(() => new PredictorModel({ ...configOf('decisions'), ...wrong })).toThrow(
      expect.objectContaining({ code: 'bad-config', message: expect.stringMatching(message) }),
    );
  });
});
