import { describe, expect, it } from '@jest/globals';
import { noGrad, randn, scope, tensor, type DagTensorFields, type Tensor } from '@dag/executor';
import { DECISIONS, NESTING, PredictorModel, type Fields, type Prediction } from '@dag/model';
import { parseConfig } from '../src/config/config.js';
import type { LossWeights } from '../src/config/losses.js';
import { PLAN_LOSSES, readoutLosses } from '../src/config/losses.js';
import { batchOf, type Batch } from '../src/predictor/stream.js';
import { computeLosses } from '../src/predictor/losses.js';
import { modelConfig, streamConfig } from '../src/predictor/objective.js';
import { predictorTask } from '../src/predictor/predictor-task.js';

const NAMES = Object.keys(readoutLosses('decisions'));
const shapes = { depth: 3, digits: 3, blockSize: 24, nLayer: 1, nHead: 2, nEmbd: 8 };
const config = parseConfig({
  model: shapes,
  losses: Object.fromEntries(NAMES.map((name) => [name, 1])),
});
const model = new PredictorModel(modelConfig(config), { seed: 1 });
const texts = ['-2.5 * (3 - 14)', '7 - 1.5 / 2', '-(4 + 5) * 6'];
const batch = batchOf(texts, streamConfig(config));

const only = (...names: string[]): LossWeights => ({
  ...config.losses,
  ...Object.fromEntries(NAMES.map((name) => [name, names.includes(name) ? 1 : 0])),
});
const lossesOf = (prediction: Prediction, of: Batch, losses = config.losses): Record<string, number> => {
  const { parts } = computeLosses(model, prediction, of, losses);
  return Object.fromEntries([...parts].map(([name, part]) => [name, part.item()]));
};

/** Logits that are as certain as can be of what the targets say; 0 where they say nothing. */
function perfectLogits({ shape, decisions: target }: Batch): Fields {
  const logits = (classes: Int32Array, count: number): Tensor =>
    tensor(
      Float32Array.from({ length: classes.length * count }, (_, i) =>
        classes[Math.floor(i / count)] === i % count ? 40 : 0,
      ),
      [...shape, count],
    );
  return {
    decisions: logits(target.classes, DECISIONS.length),
    nestings: logits(target.nestings, NESTING.length),
    completes: logits(target.completes, 2),
  };
}

function perfectPlan({ shape, plan }: Batch): DagTensorFields {
  const { depth: D } = shapes;
  const f64 = (values: Float64Array, rest: number[]): Tensor =>
    tensor(values, [...shape, ...rest], { requiresGrad: true });
  return {
    V_mag: f64(plan.V_mag, [2 * D]),
    V_sign: f64(plan.V_sign, [2 * D]),
    O: f64(plan.O, [D, 2 * D]),
    G: f64(plan.G, [D]),
  };
}

const changed = (x: Tensor, change: (value: number, i: number) => number): Tensor =>
  tensor(x.dataSync().map(change), x.shape, { dtype: x.dtype, requiresGrad: x.requiresGrad });
const decided = (fields: Fields): Prediction => ({
  readout: 'decisions',
  fields: { ...perfectLogits(batch), ...fields },
});
const planned = (plan: Partial<DagTensorFields>): Prediction => ({
  readout: 'linear',
  fields: { ...perfectPlan(batch), ...plan },
});

describe('a perfect prediction', () => {
  it('has no loss where it decides what the text says', () => {
    const losses = lossesOf(decided({}), batch, only('operators', 'nesting', 'complete'));
    expect(Object.keys(losses)).toEqual(['operators', 'nesting', 'complete']);
    for (const [name, loss] of Object.entries(losses)) expect([name, loss < 1e-6]).toEqual([name, true]);
  });

  it('has no loss where it is a plan', () => {
    const losses = lossesOf(planned({}), batch);
    expect(Object.keys(losses).toSorted()).toEqual([...PLAN_LOSSES].toSorted());
    for (const name of PLAN_LOSSES) expect([name, losses[name]! < 1e-6]).toEqual([name, true]);
  });
});

describe('a wrong prediction', () => {
  const d = perfectLogits(batch);
  const p = perfectPlan(batch);
  it.each<[string, string, Prediction]>([
    ['operators', 'no operator', decided({ decisions: changed(d['decisions']!, () => 0) })],
    ['nesting', 'no nesting', decided({ nestings: changed(d['nestings']!, () => 0) })],
    ['complete', 'the contrary', decided({ completes: changed(d['completes']!, (v) => -v) })],
    ['magnitude', 'larger numbers', planned({ V_mag: changed(p.V_mag, (v) => 2 * v) })],
    ['sign', 'the other signs', planned({ V_sign: changed(p.V_sign, (v) => -v) })],
    ['operand', 'other operands', planned({ O: changed(p.O, (v) => v - 1) })],
    ['domain', 'the other domain', planned({ G: changed(p.G, (v) => 1 - v) })],
    ['execution', 'another value', planned({ V_mag: changed(p.V_mag, (v) => 2 * v) })],
  ])('costs in %s: %s', (name, _, prediction) => {
    expect(lossesOf(prediction, batch, only(name))[name]!).toBeGreaterThan(0.01);
  });

  it('costs −ln p of what was right, a mean over the tokens of the texts', () => {
    const open = batch.decisions.completes.filter((complete) => complete === -1).length;
    const tokens = batch.decided.reduce((n, one) => n + one, 0);
    const losses = lossesOf(
      decided(Object.fromEntries(Object.entries(d).map(([name, x]) => [name, changed(x, () => 0)]))),
      batch,
      only('operators', 'nesting', 'complete'),
    );
    expect(tokens).toBe(texts.join('').length);
    expect(losses['operators']).toBeCloseTo(Math.log(DECISIONS.length), 5);
    expect(losses['nesting']).toBeCloseTo(Math.log(NESTING.length), 5);
    const padding = batch.decided.length - tokens;
    expect(losses['complete']).toBeCloseTo((Math.log(2) * (tokens - (open - padding))) / tokens, 5);
  });
});

describe('what takes no part', () => {
  const filled = <T extends Int32Array | Float64Array>(array: T, mask: Uint8Array, value: number): T => {
    const copy = array.slice() as T;
    const size = copy.length / mask.length;
    for (let i = 0; i < copy.length; i++) if (!mask[Math.floor(i / size)]) copy[i] = value;
    return copy;
  };
  const noisy = (prediction: Prediction, mask: Uint8Array): Prediction => ({
    ...prediction,
    fields: Object.fromEntries(
      Object.entries(prediction.fields).map(([name, x]) => {
        const size = x.size / mask.length;
        return [name, changed(x, (v, i) => (mask[Math.floor(i / size)] ? v : Math.abs(v + Math.sin(i))))];
      }),
    ),
  });

  it('is a token whose prefix is no expression, in losses on the plan', () => {
    const { valid, plan } = batch;
    expect(valid).toContain(0);
    const { V_mag } = perfectPlan(batch);
    const rough = planned({ V_mag: changed(V_mag, (v) => 2 * v + 1) });
    const other: Batch = {
      ...batch,
      plan: { ...plan, V_mag: filled(plan.V_mag, valid, 9), O: filled(plan.O, valid, 5) },
      values: filled(batch.values, valid, Number.NaN),
    };
    const losses = only(...PLAN_LOSSES);
    expect(lossesOf(rough, batch, losses)['magnitude']).toBeGreaterThan(0.01);
    expect(lossesOf(noisy(rough, valid), other, losses)).toEqual(lossesOf(rough, batch, losses));
  });

  it('is a token after the end of a text, in losses on decisions', () => {
    const of = batch.decisions;
    const rough = decided({ decisions: changed(perfectLogits(batch)['decisions']!, (v) => v / 20) });
    const other: Batch = {
      ...batch,
      decisions: {
        classes: filled(of.classes, batch.decided, 3),
        nestings: filled(of.nestings, batch.decided, 1),
        completes: filled(of.completes, batch.decided, 1),
      },
    };
    const losses = only('operators', 'nesting', 'complete');
    expect(lossesOf(rough, batch, losses)['operators']).toBeGreaterThan(0.01);
    expect(lossesOf(noisy(rough, batch.decided), other, losses)).toEqual(lossesOf(rough, batch, losses));
  });

  it('is a token after the end of a text, for the model too', () => {
    const [, T] = batch.shape;
    const lengths = texts.map((text) => text.length);
    const padded = batch.tokens.map((id, n) => (n % T >= lengths[Math.floor(n / T)]! ? 33 : id));
    expect(padded).not.toEqual(batch.tokens);
    const total = (tokens: Int32Array): number =>
      computeLosses(model, model.forward(tokens, batch.shape), batch, config.losses).total.item();
    expect(total(padded)).toBe(total(batch.tokens));
  });
});

it.each([
  ['decisions', {}, false],
  ['decisions that are trained on the value', { losses: { execution: 0.1 } }, true],
  ['linear heads', { model: { readout: 'linear' } }, true],
  [
    'linear heads that are trained on nothing of the plan but the value',
    { model: { readout: 'linear' }, losses: { magnitude: 0, sign: 0, operand: 0, domain: 0 } },
    true,
  ],
] as const)('workers make plans where a loss reads them: %s', (_, input, expected) => {
  expect(predictorTask(parseConfig(input)).stream.data).toMatchObject({ plans: expected });
});

describe('the total', () => {
  const prediction = model.forward(batch.tokens, batch.shape);

  it('is the weighted sum of the losses that are enabled, and of no other', () => {
    const weights = { operators: 12, nesting: 0.5, domain: 3 };
    const losses = { ...only(), ...weights };
    const { total, parts } = computeLosses(model, prediction, batch, losses);
    expect([...parts.keys()].toSorted()).toEqual(['domain', 'nesting', 'operators']);
    const sum = Object.entries(weights).reduce(
      (s, [name, weight]) => s + weight * parts.get(name as string)!.item(),
      0,
    );
    expect(sum).toBeGreaterThan(0.1);
    // Single precision: 24 bits.
    expect(total.item()).toBeCloseTo(sum, 4);
  });

  it('has the same parts whatever their weights and whatever else is enabled', () => {
    for (const name of NAMES) {
      const alone = computeLosses(model, prediction, batch, only(name)).parts;
      expect([...alone.keys()]).toEqual([name]);
      expect(alone.get(name)!.item()).toBe(lossesOf(prediction, batch)[name]);
    }
  });
});

/** The sum of products over all elements. */
const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);

/** Weights far from zero, so that every derivative stands out from the rounding of single precision. */
function lively(made: PredictorModel): PredictorModel {
  for (const [name, p] of made.parameters) {
    const noise = randn([p.size], { seed: [3, name.length], std: 0.3 }).dataSync();
    p.set(p.dataSync().map((v, i) => v + noise[i]!));
  }
  return made;
}

/**
 * The derivative of the total along a direction of one parameter, from its gradient and from differences. Parameters
 * and the forward pass are f32: single derivatives drown in rounding, so the direction contains the gradient, beside as
 * much of noise. Of four points, STEP apart, the error is of order STEP⁴; rounding, some 1e-6 of a loss of 10, adds
 * 1e-5 / STEP at most. Two per cent and that tell a wrong or missing term from both.
 */
const STEP = 1e-2;

function derivatives(
  made: PredictorModel,
  name: string,
  losses: LossWeights,
): { analytic: number; numeric: number } {
  const p = made.parameters.get(name)!;
  const total = (): Tensor =>
    computeLosses(made, made.forward(batch.tokens, batch.shape), batch, losses).total;
  for (const parameter of made.parameters.values()) parameter.zeroGrad();
  scope(() => total().backward());
  const gradient = Array.from(p.grad!.dataSync());
  const norm = Math.sqrt(dot(gradient, gradient));
  const random = Array.from(randn([p.size], { seed: [7, 7] }).dataSync(), (x) => x / Math.sqrt(p.size));
  const direction = gradient.map((g, i) => g / norm + random[i]!);
  const values = p.dataSync();
  const at = (step: number): number => {
    p.set(values.map((v, i) => v + step * direction[i]!));
    return scope(() => noGrad(() => total().item()));
  };
  const numeric = (8 * (at(STEP) - at(-STEP)) - (at(2 * STEP) - at(-2 * STEP))) / (12 * STEP);
  p.set(values);
  return { analytic: dot(gradient, direction), numeric };
}

function agree(name: string, { analytic, numeric }: { analytic: number; numeric: number }): void {
  const allowed = 0.02 * Math.abs(analytic) + 1e-5 / STEP;
  expect({ name, analytic, numeric, ok: Math.abs(analytic - numeric) <= allowed }).toEqual({
    name,
    analytic,
    numeric,
    ok: true,
  });
}

describe('the gradient of the total', () => {
  it("is the one that differences show, for every parameter of the 'linear' readout", () => {
    const linear = parseConfig({ model: { ...shapes, readout: 'linear' } });
    const made = lively(new PredictorModel(modelConfig(linear), { seed: 2 }));
    // Values jump where a node changes its sign, and are steep where one is near 0: all of them stay positive here.
    for (const [field, value] of Object.entries({ V_mag: 3, V_sign: 2, O: 0.4, G: 0 })) {
      const [weight, bias] = ['weight', 'bias'].map((kind) => made.parameters.get(`plan.${field}.${kind}`)!);
      weight!.set(weight!.dataSync().map((w) => w / 6));
      bias!.set(bias!.dataSync().map((b) => value + b / 6));
    }
    const losses = only(...PLAN_LOSSES);
    const found = [...made.parameters.keys()].map((name) => {
      const both = derivatives(made, name, losses);
      agree(name, both);
      return Math.abs(both.analytic);
    });
    // Nearly all of them are far above the tolerance, so that agreement says something.
    expect(found.filter((d) => d > 0.05).length).toBeGreaterThan(0.8 * found.length);
  });

  it("is the one that differences show, for every parameter, in the losses of 'decisions'", () => {
    const made = lively(new PredictorModel(modelConfig(config), { seed: 1 }));
    for (const name of made.parameters.keys())
      agree(name, derivatives(made, name, only('operators', 'nesting', 'complete')));
  });

  // Its derivative stands in the tests of @dag/model; here it has corners, which differences do not see.
  it('goes through the executor and the soft plan to what the tokens decide', () => {
    const made = lively(new PredictorModel(modelConfig(config), { seed: 1 }));
    for (const p of made.parameters.values()) p.zeroGrad();
    computeLosses(made, made.forward(batch.tokens, batch.shape), batch, only('execution')).total.backward();
    for (const name of ['plan.decide.weight', 'h.0.mlp.c_fc.weight']) {
      const gradient = Array.from(made.parameters.get(name)!.grad!.dataSync());
      expect([name, gradient.every(Number.isFinite)]).toEqual([name, true]);
      expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(1e-3);
    }
  });
});

describe('values that are not finite', () => {
  const divisions = ['1 / 0', '0 / 0', '2 + 3', '(1 - 1) / 0'];
  const odd = batchOf(divisions, streamConfig(config));

  it('are among the targets of this batch', () => {
    expect(odd.values).toContain(Infinity);
    expect(odd.values).toContainEqual(Number.NaN);
  });

  it.each<[string, (values: DagTensorFields) => DagTensorFields]>([
    ['a perfect plan', (plan) => plan],
    ['a soft one', (plan) => ({ ...plan, G: changed(plan.G, (g) => 0.1 + 0.8 * g) })],
    // Divides what it should add: 2/0, …
    ['one that divides by zero where nothing does', (plan) => ({ ...plan, ...swapped(plan) })],
  ])('leave the losses and the gradients of %s finite', (_, change) => {
    const plan = change(perfectPlan(odd));
    const { total, parts } = computeLosses(
      model,
      { readout: 'linear', fields: { ...plan } },
      odd,
      only(...PLAN_LOSSES),
    );
    for (const [name, part] of parts) expect([name, Number.isFinite(part.item())]).toEqual([name, true]);
    total.backward();
    for (const field of Object.values(plan) as Tensor[])
      expect(field.grad?.dataSync().every(Number.isFinite) ?? true).toBe(true);
  });

  it('leave the losses and the gradients of a model finite', () => {
    for (const p of model.parameters.values()) p.zeroGrad();
    const { total } = computeLosses(model, model.forward(odd.tokens, odd.shape), odd, config.losses);
    total.backward();
    expect(Number.isFinite(total.item())).toBe(true);
    for (const p of model.parameters.values()) expect(p.grad!.dataSync().every(Number.isFinite)).toBe(true);
  });

  it('cost nothing in the execution loss', () => {
    const quotient = batchOf(['1 / 0'], streamConfig(config));
    const { V_mag, ...plan } = perfectPlan(quotient);
    const loss = (mag: Tensor): number =>
      lossesOf({ readout: 'linear', fields: { ...plan, V_mag: mag } }, quotient, only('execution'))[
        'execution'
      ]!;
    const last = '1 / 0'.length - 1;
    const at = (token: number) => changed(V_mag, (v, i) => (Math.floor(i / 6) === token ? v + 5 : v));
    expect(loss(at(last))).toBe(0);
    expect(loss(at(0))).toBeGreaterThan(0.1);
  });
});

/** 0/0 in the first step of every graph. */
function swapped({ V_mag, O, G }: DagTensorFields): Pick<DagTensorFields, 'V_mag' | 'O' | 'G'> {
  const width = 2 * shapes.depth;
  const first = [1, -1, 0, 0, 0, 0];
  return {
    V_mag: changed(V_mag, () => 0),
    O: changed(O, (v, i) => (Math.floor(i / width) % shapes.depth === 0 ? first[i % width]! : v)),
    G: changed(G, (g, i) => (i % shapes.depth === 0 ? 0 : g)),
  };
}
