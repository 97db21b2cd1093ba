import { describe, expect, it, jest } from '@jest/globals';
import { crossEntropy, executeDag, narrow, recordStep, scope, sum, tensor, type Tensor } from '@dag/executor';
import { formatValue } from '@dag/expr';
import {
  DagGpt,
  Gpt,
  ModelError,
  ParameterBuilder,
  predictionAt,
  type Calculation,
  type DagGptConfig,
  type DagGptInputs,
  decodeSafetensors,
  encodeSafetensors,
  toFloat32,
} from '../src/index.js';
import { startOf } from '../src/generate.js';
import { FORM_OUTPUTS } from '../src/value-form.js';
import { KeyValueCache } from '../src/key-value-cache.js';

const config: DagGptConfig = {
  tokenizer: 'char',
  depth: 3,
  digits: 4,
  readout: 'decisions',
  blockSize: 160,
  nLayer: 2,
  nHead: 2,
  nEmbd: 32,
  dropout: 0,
  bias: true,
};
const TEXT = 'Twelve men. 12.5 * 4 = ';

const model = new DagGpt(config, { seed: 3 });
/** Without blocks of the branch, and with some. */
const models = [0, 2].map((branchLayers) => new DagGpt({ ...config, branchLayers }, { seed: 3 }));
const ids = Int32Array.from(model.tokenizer.encode(TEXT));
const close = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
  expect(a).toHaveLength(b.length);
  Array.from(a).forEach((x, i) => expect(x).toBeCloseTo(b[i]!, 4));
};

/** The text of the likeliest tokens, each by reading all that is before it anew. */
function slowly(of: DagGpt, prompt: string, count: number): string {
  const written = of.tokenizer.encode(prompt);
  const first = written.length;
  for (let n = 0; n < count; n++) {
    const window = Int32Array.from(written.slice(-of.config.blockSize));
    const logits = scope(() =>
      of
        .logits(of.forward(window, [1, window.length]).hidden)
        .dataSync()
        .slice(),
    );
    const last = logits.slice(-of.tokenizer.vocabSize);
    written.push(last.indexOf(Math.max(...last)));
  }
  return of.tokenizer.decode(written.slice(first));
}

describe('DagGpt', () => {
  it('is the GPT of its backbone at depth 0: the same weights, and no others', () => {
    const plain = new DagGpt({ ...config, depth: 0 }, { seed: 3 });
    const build = new ParameterBuilder(3);
    const gpt = new Gpt({ ...config, depth: 0, vocabSize: 100 }, build);
    expect([...plain.parameters.keys()]).toEqual([...build.parameters.keys()]);
    const out = plain.forward(ids, [1, ids.length]);
    const hidden = gpt.forward(tensor(ids, [1, ids.length]));
    expect(out.hidden.dataSync()).toEqual(hidden.dataSync());
    expect(plain.logits(out.hidden).dataSync()).toEqual(gpt.logits(hidden).dataSync());
    expect([out.gate, out.start, out.prediction]).toEqual([null, null, null]);
    expect(() => plain.readExpressions(Int32Array.of(1), hidden)).toThrow(ModelError);
  });

  it('has the head tied to the embedding: logits are products with its rows', () => {
    const { hidden } = model.forward(ids, [1, ids.length]);
    const rows = hidden.dataSync();
    const table = model.parameters.get('wte.weight')!.dataSync();
    const logits = model.logits(hidden).dataSync();
    for (const [t, v] of [
      [0, 0],
      [5, 42],
      [ids.length - 1, 99],
    ] as const) {
      let sum = 0;
      for (let c = 0; c < 32; c++) sum += rows[t * 32 + c]! * table[v * 32 + c]!;
      expect(logits[t * 100 + v]).toBeCloseTo(sum, 5);
    }
  });

  it('has as loss on text the mean −ln p of the targets, and the gradient of that', () => {
    const shape = [8, 150] as const;
    const tokens = Int32Array.from({ length: 1200 }, (_, i) => (i * 37) % 95);
    // More than are made at once.
    const targets = tokens.map((_, i) => (i % 5 === 0 ? -1 : (i * 31) % 95));
    const gradient = (loss: Tensor): Float64Array => {
      for (const p of model.parameters.values()) p.zeroGrad();
      loss.backward();
      return Float64Array.from(model.parameters.get('wte.weight')!.grad!.dataSync());
    };
    const { hidden } = model.forward(tokens, shape);
    const loss = model.textLoss(hidden, targets);
    const expected = crossEntropy(
      model.logits(model.forward(tokens, shape).hidden),
      tensor(targets, shape, { dtype: 'i32' }),
    );
    expect(loss.item()).toBeCloseTo(expected.item(), 5);
    const [a, b] = [gradient(loss), gradient(expected)];
    const size = Math.hypot(...b);
    expect(Math.hypot(...a.map((x, i) => x - b[i]!)) / size).toBeLessThan(1e-5);
    expect(() => model.textLoss(hidden, targets.with(1, 100))).toThrow(
      expect.objectContaining({
        code: 'bad-token',
        message: expect.stringContaining('below 100, given 100'),
      }),
    );
    expect(() => model.textLoss(hidden, targets.fill(-1))).toThrow('no target is counted');
  });

  it('has the same loss on text with padding, of which a few targets among many have a part each', () => {
    const shape = [8, 150] as const;
    const tokens = Int32Array.from({ length: 1200 }, (_, i) => (i * 37) % 95);
    const targets = tokens.map((_, i) => (i % 300 === 7 ? (i * 31) % 95 : -1));
    const { hidden } = model.forward(tokens, shape);
    const loss = (options: { size?: number; of?: number }): number =>
      model.nextLoss(hidden, model.nextTokens(targets, options)).item();
    expect(model.nextTokens(targets, { size: 1200 }).next.shape).toEqual([1280]);
    expect(loss({ size: 1200 })).toBeCloseTo(loss({}), 5);
    // As one of two micro-batches.
    expect(loss({ size: 300, of: 8 })).toBeCloseTo(loss({}) / 2, 5);
    expect(() => loss({ size: 3 })).toThrow('size is a whole number from 4 to 1200');
    for (const share of [0, -1, NaN, Infinity])
      expect(() => loss({ of: share })).toThrow('of a number above 0');
    // One target among three parts: in one part alone.
    const one = targets.map((id, i) => (i === 7 ? id : -1));
    expect(model.nextTokens(one, { size: 1200 }).next.shape).toEqual([512]);
    expect(model.nextLoss(hidden, model.nextTokens(one, { size: 1200 })).item()).toBeCloseTo(
      model.textLoss(hidden, one).item(),
      5,
    );
  });

  it('has in a recorded step the outputs that it has outside', () => {
    const reading = new DagGpt({ ...config, branchLayers: 1, textLayers: 1 }, { seed: 3 });
    const step = recordStep((inputs: Record<string, Tensor>) => {
      const { hidden, prediction } = reading.forwardInputs(inputs as unknown as DagGptInputs);
      return { hidden, plan: reading.plan(predictionAt(prediction!, inputs['at']!)).O };
    });
    for (let call = 0; call < 4; call++) {
      const tokens = ids.map((id) => (id + call) % 95);
      const expressions = { shape: [2, 3] as const, index: Int32Array.of(12, 13, 14, 4, 5, 6) };
      const inputs = reading.inputs(tokens, [1, tokens.length], expressions);
      const at = [call % 3, 2];
      const actual = step({ ...inputs, at: tensor(at, [2], { dtype: 'f64' }) } as Record<string, Tensor>);
      const { hidden, prediction } = reading.forward(tokens, [1, tokens.length], { expressions });
      expect(actual.hidden.dataSync()).toEqual(hidden.dataSync());
      expect(actual.plan.dataSync()).toEqual(reading.plan(predictionAt(prediction!, at)).O.dataSync());
    }
    step.release();
  });

  it('leaves the padding of its vocabulary out of the loss and its gradient, whatever its embeddings are', () => {
    const padded = new DagGpt({ ...config, vocabSize: 180 }, { seed: 3 });
    const embedding = padded.parameters.get('wte.weight')!;
    const table = padded.parameters.get('wte.weight')!.dataSync();
    const tokens = model.parameters.get('wte.weight')!.dataSync();
    for (const padding of [0, 9]) {
      embedding.set(table.map((_, i) => tokens[i] ?? padding));
      const losses = [model, padded].map((of) => {
        for (const p of of.parameters.values()) p.zeroGrad();
        const { hidden } = of.forward(ids, [1, ids.length]);
        const loss = of.textLoss(hidden, ids);
        loss.backward();
        return { loss: loss.item(), gradient: of.parameters.get('wte.weight')!.grad!.dataSync() };
      });
      const [plain, other] = losses as [(typeof losses)[number], (typeof losses)[number]];
      expect(other.loss).toBeCloseTo(plain.loss, 5);
      close(
        other.gradient,
        Float32Array.from(table, (_, i) => plain.gradient[i] ?? 0),
      );
    }
  });

  it.each([99, 201, 1e9])('refuses a vocabulary of %d rows', (vocabSize) => {
    expect(() => new DagGpt({ ...config, vocabSize })).toThrow(
      expect.objectContaining({
        code: 'bad-config',
        message: expect.stringMatching(/is from 100, .* given/),
      }),
    );
  });

  it.each(models)('says at a token what depends on no later one (%#)', (model) => {
    const at = 17;
    const changed = ids.map((id, t) => (t > at ? (id + 7) % 95 : id));
    const [a, b] = [ids, changed].map((tokens) => {
      const index = Int32Array.from({ length: at + 1 - 12 }, (_, i) => 12 + i);
      const out = model.forward(tokens, [1, tokens.length], {
        expressions: { shape: [1, index.length], index },
      });
      const plan = model.plan(out.prediction!);
      return [out.hidden, out.gate!, out.start!.query, out.start!.key]
        .map((x) => x.dataSync().slice(0, (x.size / ids.length) * (at + 1)))
        .concat(Object.values(plan).map((x) => x.dataSync()));
    });
    expect(a).toEqual(b);
  });

  it.each(models)('reads packed expressions as each by itself (%#)', (model) => {
    const spans = [
      [12, 8],
      [0, 5],
      [3, 8],
    ] as const;
    const index = Int32Array.from(
      spans.flatMap(([from, n]) => Array.from({ length: 8 }, (_, i) => from + Math.min(i, n - 1))),
    );
    const { hidden, prediction } = model.forward(ids, [1, ids.length], {
      expressions: { shape: [3, 8], index },
    });
    const packed = model.plan(prediction!);
    spans.forEach(([from, n], m) => {
      const states = Float32Array.from(hidden.dataSync().slice(from * 32, (from + n) * 32));
      const alone = model.plan(model.readExpressions(ids.slice(from, from + n), tensor(states, [1, n, 32])));
      for (const field of ['V_mag', 'V_sign', 'O', 'G'] as const) {
        const size = alone[field].size / n;
        close(alone[field].dataSync(), packed[field].dataSync().slice(m * 8 * size, (m * 8 + n) * size));
      }
    });
  });

  it('learns with its branch alone where the backbone is frozen', () => {
    const frozen = new DagGpt({ ...config, branchLayers: 1, textLayers: 1 }, { seed: 3 });
    frozen.freezeBackbone();
    const index = Int32Array.from({ length: 8 }, (_, i) => 12 + i);
    const { gate, start, form, prediction } = frozen.forward(ids, [1, ids.length], {
      expressions: { shape: [1, 8], index },
    });
    for (const x of [gate!, start!.query, start!.key, form!, frozen.plan(prediction!).V_mag])
      x.backward(tensor(new Float64Array(x.size).fill(1), x.shape, { dtype: x.dtype }));
    const learning = [...frozen.parameters].filter(([, p]) => p.grad !== null).map(([name]) => name);
    expect(learning).toEqual(
      [...frozen.parameters.keys()].filter((name) => /^(branch|plan|gate|start|form)\./.test(name)),
    );
    const ofReader = 1 + 2 + 12 + 2;
    expect(learning.length).toBe(1 + 2 * ofReader + 2 + 2 + 4 + 2);
  });

  it.each([0, 1])('trains the backbone by outputs that have no blocks of their own: %d', (layers) => {
    const index = Int32Array.from({ length: 8 }, (_, i) => 12 + i);
    const forward = (of: DagGpt) =>
      of.forward(ids, [1, ids.length], { expressions: { shape: [1, 8], index } });
    const outputs: [(made: DagGpt) => Tensor, trains: boolean][] = [
      [(of) => of.plan(forward(of).prediction!).V_mag, layers === 0],
      [(of) => forward(of).gate!, layers === 1],
      [(of) => forward(of).start!.query, layers === 1],
      [(of) => forward(of).start!.key, layers === 1],
      [(of) => forward(of).form!, layers === 1],
    ];
    for (const [output, trains] of outputs) {
      const made = new DagGpt({ ...config, branchLayers: layers, textLayers: 1 - layers }, { seed: 3 });
      sum(output(made)).backward();
      const [backbone, branch] = made.parts.map((part) => [...part.values()].some((p) => p.grad !== null));
      expect([backbone, branch]).toEqual([trains, true]);
    }
  });

  it('reads the tokens of an expression, not only what the backbone says of them', () => {
    const [, reading] = models as [DagGpt, DagGpt];
    const own = reading.tokenizer.encode('12.5*4');
    const hidden = tensor(new Float32Array(own.length * config.nEmbd), [1, own.length, config.nEmbd]);
    const plan = reading.plan(reading.readExpressions(Int32Array.from(own), hidden));
    const other = reading.plan(
      reading.readExpressions(Int32Array.from(own.map((id) => (id + 5) % 95)), hidden),
    );
    expect(plan.O.dataSync()).not.toEqual(other.O.dataSync());
  });

  it('drops activations of its branch where it trains', () => {
    const dropping = new DagGpt({ ...config, branchLayers: 1, dropout: 0.5 }, { seed: 3 });
    const hidden = tensor(new Float32Array(6 * config.nEmbd), [1, 6, config.nEmbd]);
    const read = (dropoutSeed?: number) =>
      Array.from(
        dropping.plan(dropping.readExpressions(ids.slice(12, 18), hidden, { dropoutSeed })).O.dataSync(),
      );
    expect(read(1)).toEqual(read(1));
    expect(read(1)).not.toEqual(read(2));
    expect(read()).toEqual(read());
  });

  it('refuses blocks of a branch that is not there', () => {
    expect(() => new DagGpt({ ...config, depth: 0, branchLayers: 1 })).toThrow(/branchLayers .* given 1/);
    expect(() => new DagGpt({ ...config, depth: 0, textLayers: 1 })).toThrow(/textLayers .* given 1/);
    expect(() => new DagGpt({ ...config, branchLayers: 0.5 })).toThrow(/branchLayers .* given 0.5/);
  });

  it('is what it was after it was saved, padding of the vocabulary too', () => {
    const padded = new DagGpt({ ...config, vocabSize: 128, branchLayers: 1 }, { seed: 5 });
    const loaded = DagGpt.load(padded.save());
    expect(loaded.config).toEqual(padded.config);
    expect(loaded.save()).toEqual(padded.save());
  });

  it.each<[Partial<DagGptConfig>, string, RegExp]>([
    [{ branchLayers: 1e9 }, 'bad-file', /'branch.h.1.ln_1.weight' is missing/],
    [{ branchLayers: 0 }, 'bad-file', /has a weight 'branch/],
    [{ vocabSize: 1e9 }, 'bad-config', /vocabSize is from 100, .* given 1000000000/],
    [{ vocabSize: 150 }, 'bad-file', /'wte.weight' has shape \(128, 32\), this model needs \(150, 32\)/],
  ])('takes no memory for what a configuration of %j claims', (claim, code, message) => {
    const { tensors, metadata } = decodeSafetensors(
      new DagGpt({ ...config, vocabSize: 128, branchLayers: 1 }, { seed: 5 }).save(),
    );
    const claimed = JSON.stringify({ ...(JSON.parse(metadata['config']!) as object), ...claim });
    expect(() => DagGpt.load(encodeSafetensors(tensors, { config: claimed }))).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

describe('a model whose weights are no numbers', () => {
  const wrong = (name: string, value: number): DagGpt => {
    const broken = new DagGpt(config, { seed: 3 });
    const p = broken.parameters.get(name)!;
    p.set(p.dataSync().map((w, i) => (i === 3 ? value : w)));
    return broken;
  };
  const refusal = (message: RegExp) =>
    expect.objectContaining({
      name: 'ModelError',
      code: 'not-finite',
      message: expect.stringMatching(message),
    });

  it.each([
    ['h.0.attn.c_attn.weight', NaN],
    ['ln_f.weight', Infinity],
    ['wte.weight', -Infinity],
  ])('is refused when it is loaded, and writes nothing: %s %d', (name, value) => {
    const broken = wrong(name, value);
    expect(() => DagGpt.load(broken.save())).toThrow(
      refusal(new RegExp(`'${name}' is ${value} at element 3`)),
    );
    expect(() => broken.generate('12', { temperature: 0 })).toThrow(
      refusal(/computes (NaN|-?Infinity) among its/),
    );
    expect(() => broken.generate('12')).toThrow(refusal(/computes (NaN|-?Infinity) among its/));
  });

  it.each([1e5, -65520])('is not saved in halves where it was one in F32: %d', (value) => {
    const large = wrong('wpe.weight', value);
    expect(DagGpt.load(large.save()).save()).toEqual(large.save());
    const message = new RegExp(`'wpe.weight' is ${value} .* save it as F32`);
    expect(() => large.save({ dtype: 'F16' })).toThrow(refusal(message));
  });

  it('is saved without the kinds of tokens whose embedding is zero', () => {
    const packed = new DagGpt({ ...config, branchLayers: 1 }, { seed: 3 });
    const kinds = packed.parameters.get('branch.kinds.weight')!;
    const isKnown = (i: number): boolean => Math.floor(i / config.nEmbd) % 3 === 0;
    kinds.set(kinds.dataSync().map((w, i) => (isKnown(i) ? w : 0)));
    const { tensors } = decodeSafetensors(packed.save());
    expect(tensors.get('branch.kinds.weight')!.shape).toEqual([Math.ceil(4091 / 3), config.nEmbd]);
    for (const [name, p] of DagGpt.load(packed.save()).parameters)
      expect([name, p.dataSync()]).toEqual([name, packed.parameters.get(name)!.dataSync()]);
    const halves = packed.save({ dtype: 'F16' });
    expect(DagGpt.load(halves).save({ dtype: 'F16' })).toEqual(halves);
  });

  it('is saved in halves up to what rounds to the largest', () => {
    const largest = wrong('wpe.weight', 65519);
    const { tensors } = decodeSafetensors(largest.save({ dtype: 'F16' }));
    expect(toFloat32(tensors.get('wpe.weight')!)[3]).toBe(65504);
  });
});

describe('a key/value cache', () => {
  it('gives the hidden states of reading all at once, for more tokens than its first room has', () => {
    const tokens = Int32Array.from({ length: 150 }, (_, i) => (i * 37) % 95);
    const whole = model.forward(tokens, [1, 150]).hidden.dataSync();
    for (const first of [1, 23, 64]) {
      const cache = new KeyValueCache(config.nLayer);
      const read = (from: number, to: number): number[] =>
        Array.from(model.forward(tokens.slice(from, to), [1, to - from], { cache }).hidden.dataSync());
      const rows = read(0, first);
      for (let t = first; t < 150; t++) rows.push(...read(t, t + 1));
      expect(cache.length).toBe(150);
      close(rows, whole);
      cache.clear();
      expect(cache.tensors()).toEqual([]);
    }
  });

  it('holds what the blocks of the branch read', () => {
    for (const convolution of [0, 3]) {
      const made = new DagGpt({ ...config, convolution, textLayers: 2 }, { seed: 3 });
      const tokens = Int32Array.from({ length: 20 }, (_, i) => (i * 37) % 95);
      const gates = (from: number, to: number, cache?: KeyValueCache) =>
        Array.from(
          made.forward(tokens.slice(from, to), [1, to - from], cache ? { cache } : {}).gate!.dataSync(),
        );
      const cache = made.newCache();
      const read = gates(0, 5, cache);
      for (let t = 5; t < 20; t++) read.push(...gates(t, t + 1, cache));
      close(read, gates(0, 20));
      expect(() => gates(0, 5, new KeyValueCache(config.nLayer))).toThrow(/cache is one of `newCache/);
    }
  });

  it('holds what a convolution read last', () => {
    const convolved = new DagGpt({ ...config, convolution: 3 }, { seed: 3 });
    const tokens = Int32Array.from({ length: 20 }, (_, i) => (i * 37) % 95);
    const whole = convolved.forward(tokens, [1, 20]).hidden.dataSync();
    for (const first of [1, 2, 5]) {
      const cache = new KeyValueCache(config.nLayer);
      const rows: number[] = [];
      for (let from = 0; from < 20; from = Math.max(first, from + 1))
        rows.push(
          ...convolved
            .forward(tokens.slice(from, Math.max(first, from + 1)), [1, Math.max(first, from + 1) - from], {
              cache,
            })
            .hidden.dataSync(),
        );
      close(rows, whole);
    }
  });

  it('refuses several tokens at once after the first ones, and more than the block has room for', () => {
    const cache = new KeyValueCache(config.nLayer);
    const read = (n: number) => model.forward(new Int32Array(n), [1, n], { cache });
    read(150);
    expect(() => read(2)).toThrow('takes one at a time');
    const full = new KeyValueCache(config.nLayer);
    model.forward(new Int32Array(160), [1, 160], { cache: full });
    expect(() => model.forward(new Int32Array(1), [1, 1], { cache: full })).toThrow(ModelError);
  });
});

/** Makes all tokens fit as the beginning of an expression: the last one of them is taken. */
function beginAnywhere(of: DagGpt): void {
  for (const name of ['start.query.weight', 'start.query.bias']) {
    const parameter = of.parameters.get(name)!;
    parameter.set(new Float32Array(parameter.size));
  }
}

/** Makes values written as the shortest decimal that gives the same double, without commas and without a blank before it. */
const writeExactly = (of: DagGpt): void =>
  of.parameters
    .get('form.bias')!
    .set(Float32Array.from({ length: FORM_OUTPUTS }, (_, i) => (i === 0 ? 100 : -100)));

describe('generate', () => {
  const shut = new DagGpt(config, { seed: 3 });
  shut.parameters.get('gate.bias')!.set([-100]);

  it('writes the likeliest tokens at temperature 0, as without a cache', () => {
    const { text, calculations } = shut.generate(TEXT, { maxNewTokens: 60, temperature: 0 });
    // The blank at the end of the prompt is the first of them.
    expect(text).toBe(slowly(shut, TEXT, 59));
    expect(calculations).toEqual([]);
  });

  it.each([
    ['It is 2 × 3 ÷ (−4 – 5) = ', 'It is 2 * 3 / (-4 - 5) = '],
    ['(1,000 · −2.5)⋅3', '(1000 * -2.5)*3'],
    ['2 × 3 = 6\n4   × 5. What’s 6 × 7?\n', "2 * 3 = 6\n4 * 5. What's 6 * 7?\n"],
    ['Some −, × or ÷, 1, 2, B 3 at 1,000 and FIVE.', 'Some −, × or ÷, 1, 2, B 3 at 1,000 and FIVE.'],
    ['- '.repeat(20_000) + '('.repeat(20_000), ''],
  ])('reads the expressions in symbols of %j as training has them', (prompt, read) => {
    const forward = jest.spyOn(shut, 'forward');
    shut.generate(prompt, { maxNewTokens: 1, temperature: 0 });
    const [tokens] = forward.mock.calls[0]!;
    forward.mockRestore();
    expect(shut.tokenizer.decode([...tokens])).toBe(
      read.replace(/ +$/, '') || prompt.trimEnd().slice(-config.blockSize),
    );
  });

  it('goes on beyond the block with the last tokens that it holds', () => {
    const prompt = 'x = 1\n'.repeat(25);
    expect(shut.generate(prompt, { maxNewTokens: 20, temperature: 0 }).text).toBe(slowly(shut, prompt, 20));
  });

  it('goes on with a prompt of any length', () => {
    const options = { maxNewTokens: 3, temperature: 0 };
    const end = 'x = 1\n'.repeat(27);
    expect(shut.generate('long '.repeat(60_000) + end, options).text).toBe(shut.generate(end, options).text);
  });

  it('writes the same text for the same seed, another for another, and the likeliest one of one', () => {
    const write = (seed: number, topK?: number) =>
      shut.generate('a', { maxNewTokens: 30, seed, ...(topK ? { topK } : {}) }).text;
    expect(write(1)).toBe(write(1));
    expect(write(1)).not.toBe(write(2));
    expect(write(1, 1)).toBe(shut.generate('a', { maxNewTokens: 30, temperature: 0 }).text);
  });

  it('draws tokens by their probabilities', () => {
    const { hidden } = shut.forward(Int32Array.of(65), [1, 1]);
    const logits = Array.from(shut.logits(hidden).dataSync());
    const weights = logits.map((x) => Math.exp(x / 0.3));
    const all = weights.reduce((a, b) => a + b);
    const best = logits.indexOf(Math.max(...logits));
    const draws = 2000;
    let hits = 0;
    for (let seed = 0; seed < draws; seed++) {
      const { text } = shut.generate('a', { maxNewTokens: 1, temperature: 0.3, seed });
      if (text === shut.tokenizer.decode([best])) hits++;
    }
    const p = weights[best]! / all;
    expect(Math.abs(hits / draws - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / draws));
  });

  it('writes the value of the expression that was begun last where the gate is open, and says what it computed', () => {
    const open = new DagGpt(config, { seed: 3 });
    open.parameters.get('gate.bias')!.set([100]);
    beginAnywhere(open);
    writeExactly(open);
    const { text, calculations } = open.generate('7', { maxNewTokens: 1 });
    expect(calculations).toHaveLength(1);
    const [{ at, value, tensors, written }] = calculations as [(typeof calculations)[number]];
    expect([at, tensors.depth, tensors.size]).toEqual([0, 3, 1]);
    expect([text, written]).toEqual([formatValue(value), formatValue(value)]);
    // With a blank, which the prompt may have already.
    open.parameters
      .get('form.bias')!
      .set(
        Float32Array.from({ length: FORM_OUTPUTS }, (_, i) =>
          i === 0 || i === FORM_OUTPUTS - 1 ? 100 : -100,
        ),
      );
    const spaced = open.generate('7', { maxNewTokens: 1 });
    expect([spaced.text, spaced.calculations[0]!.at]).toEqual([` ${text}`, 1]);
    expect(open.generate('7 ', { maxNewTokens: 1 })).toEqual({
      text,
      calculations: [{ ...spaced.calculations[0]!, at: 0 }],
    });
    expect(open.computedIn(open.tokenizer.encode('7=')).get(1)).toEqual({
      ...{ value, tensors, written: ` ${text}` },
      expression: spaced.calculations[0]!.expression,
    });
  });

  it('takes the token whose key fits the query best as the beginning of the expression, the last of several', () => {
    const keys = [
      [1, 2],
      [3, 1],
      [0, 0],
      [1, 3],
    ].map((key) => Float32Array.from(key));
    expect(startOf(Float32Array.of(1, 0), keys)).toBe(1);
    expect(startOf(Float32Array.of(0, 1), keys)).toBe(3);
    expect(startOf(Float32Array.of(0, 0), keys)).toBe(3);
    expect(startOf(Float32Array.of(1, 0), [keys[0]!, null, keys[2]!])).toBe(0);
    expect(startOf(Float32Array.of(1, 0), [null, null])).toBe(-1);
  });

  it('never goes on with the digits of a value, be it by text or by another value', () => {
    // The hidden state is the same everywhere: the likeliest token is 5, then a point.
    const same = new DagGpt(config, { seed: 3 });
    const set = (name: string, at: (i: number) => number) => {
      const parameter = same.parameters.get(name)!;
      parameter.set(Float32Array.from({ length: parameter.size }, (_, i) => at(i)));
    };
    set('ln_f.weight', () => 0);
    set('ln_f.bias', (i) => (i === 0 ? 1 : 0));
    const [five, point] = same.tokenizer.encode('5.') as [number, number];
    const { nEmbd } = config;
    set('wte.weight', (i) => (i === five * nEmbd ? 9 : i === point * nEmbd ? 8 : 0));
    set('gate.bias', () => 100);
    beginAnywhere(same);
    writeExactly(same);
    for (const temperature of [0, 0.05]) {
      const { text, calculations } = same.generate(' ', { maxNewTokens: 50, temperature });
      // The first value begins an expression, the second one is within what would be a number.
      expect(calculations.map(({ at, value }) => [at, value])).toEqual([
        [0, 0],
        [3, 0],
      ]);
      expect(text).toBe(`0..0..${'5'.repeat(44)}`);
    }
  });

  it('begins no expression in the midst of a number', () => {
    const open = new DagGpt(config, { seed: 3 });
    open.parameters.get('gate.bias')!.set([100]);
    beginAnywhere(open);
    const valueFrom = (prompt: string, from: number): number => {
      const tokens = Int32Array.from(open.tokenizer.encode(prompt));
      const hidden = narrow(open.forward(tokens, [1, tokens.length]).hidden, 1, from, tokens.length - from);
      return executeDag(open.hardPlan(tokens.slice(from), hidden, { at: [tokens.length - from - 1] })).item();
    };
    const [{ value }] = open.generate('x 12.5', { maxNewTokens: 1 }).calculations as [Calculation];
    expect(value).toBe(valueFrom('x 12.5', 2));
    expect(value).not.toBe(valueFrom('x 12.5', 5));
  });

  it('ends before a text that it is told to stop at', () => {
    const whole = shut.generate('a', { maxNewTokens: 40, seed: 4 }).text;
    const stop = whole.slice(10, 12);
    const cut = shut.generate('a', { maxNewTokens: 40, seed: 4, stop }).text;
    expect(cut).toBe(whole.slice(0, whole.indexOf(stop)));
  });

  it.each<[string, object, string]>([
    ['', {}, 'the prompt is empty'],
    ['a', { maxNewTokens: 0 }, 'maxNewTokens is a whole number from 1, given 0'],
    ['a', { temperature: -1 }, 'temperature is a number from 0, given -1'],
    ['a', { temperature: NaN }, 'temperature is a number from 0, given NaN'],
    ['a', { topK: 1.5 }, 'topK is a whole number from 1, given 1.5'],
    ['a', { maxTokens: 5 }, "there is no option 'maxTokens'; options are maxNewTokens, temperature"],
  ])('refuses %j with %j', (prompt, options, message) => {
    expect(() => shut.generate(prompt, options)).toThrow(message);
  });
});
