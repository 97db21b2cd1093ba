import {
  add,
  affine,
  cat,
  dropout,
  embedding,
  expand,
  gelu,
  layerNorm,
  linear,
  matmul,
  mul,
  narrow,
  permute,
  reshape,
  select,
  softmax,
  tensor,
  transpose,
  unsqueeze,
  zeros,
  logSoftmax,
  noGrad,
  scope,
  type Device,
  type Tensor,
} from '@dag/executor';
import type { DagTensors } from '@dag/tensorize';
import { checkList, checkObject, checkText, isWhole, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { expressionOf } from '../expression-of.js';
import { fetchModel, type FetchOptions } from '../fetch-weights.js';
import { checkConfigObject, ParameterBuilder, type ModelOptions, type Parameters } from '../gpt.js';
import type { FileBytes } from '../safetensors/tensor.js';
import { decodeWeights, SavedModel } from '../weights.js';
import { NO_FIT, validShares, weighed, type NumberEvidence, type ProbableValue } from './evidence.js';
import { PlanLibrary, valueOf, type Template } from './plan-library.js';
import { planTensors } from './plan-tensors.js';
import { problemWords, readProblem, type ProblemWord } from './problem-text.js';
import { RELATIONS, relations } from './relations.js';
import { ENDINGS, MOST_SLOTS, PLACES, ProblemVocabulary, type EncodedProblem } from './vocabulary.js';

/** Words and signs of the longest problem: memory grows with the square of their number. */
const MOST_WORDS = 500;
/** Added to the scores of what attention does not see. */
const HIDDEN = -1e9;

/** Sizes of a `ProblemModel`, and what its training data had. */
export interface ProblemConfig {
  /** Networks with weights of their own, whose log probabilities are averaged. */
  readonly members: number;
  readonly nLayer: number;
  readonly nHead: number;
  readonly nEmbd: number;
  /** Width of the MLP of a block. */
  readonly nInner: number;
  /** Tokens that a block's convolution reads. */
  readonly convolution: number;
  /** D, steps of a plan. */
  readonly depth: number;
  /** Probability of dropping an activation in training. */
  readonly dropout: number;
  readonly words: readonly string[];
  readonly constants: readonly number[];
  readonly templates: readonly Template[];
  /** Constants of number evidence, fitted on problems that training held out. */
  readonly evidence?: NumberEvidence;
}

/** A problem as its model reads it. */
export interface WordProblem {
  readonly words: readonly ProblemWord[];
  readonly numbers: readonly number[];
}

/** What a model makes of a problem. */
export interface Solved {
  /** The answer with number evidence, and how sure it is, 0 … 1. */
  readonly value: number;
  readonly confidence: number;
  /** The value of the plan that is the most probable one by the text alone. */
  readonly raw: number;
  /** Index of the plan of `value` and of `raw` among those over so many numbers. */
  readonly plan: number;
  readonly rawPlan: number;
}

/** The answer to a problem in words. */
export interface SolvedProblem extends Omit<Solved, 'plan' | 'rawPlan'> {
  readonly text: string;
  /** The plan as an expression and as tensors. */
  readonly expression: string;
  readonly tensors: DagTensors;
  /** The numbers of the text, and whether the plan reads each. */
  readonly numbers: readonly {
    readonly value: number;
    readonly begin: number;
    readonly end: number;
    readonly isUsed: boolean;
  }[];
}

/** B problems of n numbers as tensors. */
export interface ProblemInputs {
  /** (B, T) token ids, endings and places, of dtype i32. */
  readonly tokens: Tensor;
  readonly endings: Tensor;
  readonly places: Tensor;
  /** (B·T, R, T) see `relations`. */
  readonly relations: Tensor;
  /** (B, 1, 1, T) added to the scores of attention: 0, or a large negative number for padding. */
  readonly padding: Tensor;
  /** (B) the place of the end of each text, and (B·n) of its numbers behind the text, in b·T + t, of dtype i32. */
  readonly ends: Tensor;
  readonly slots: Tensor;
}

/** What a model says of the cells of `O` and `G`. */
export interface Cells {
  /** (B, D, M, 2) logits of the coefficients 1 and −1 of each operand of each step; that of 0 is 0. */
  readonly operands: Tensor;
  /** (B, D, 2) logits of a product and of a sum. */
  readonly kinds: Tensor;
}

/** The name of a member's parameter. */
const nameOf = (member: number, name: string): string => (member === 0 ? name : `members.${member}.${name}`);
type Drop = (x: Tensor, share?: number) => Tensor;

/** Chooses the plan of a word problem: which numbers, constants and earlier steps each step reads. */
export class ProblemModel extends SavedModel {
  config: ProblemConfig;
  readonly vocabulary: ProblemVocabulary;
  readonly library: PlanLibrary;
  readonly parameters: Parameters;
  readonly #shares = new Map<number, Float64Array>();

  constructor(config: ProblemConfig, { seed = 0, device, check }: ModelOptions = {}) {
    super();
    checkConfig(config);
    const { nEmbd: C, nLayer, nHead, nInner, depth: D, convolution } = config;
    this.config = config;
    this.vocabulary = new ProblemVocabulary(config.words);
    this.library = new PlanLibrary(config.templates, config.constants, D);
    const build = new ParameterBuilder(seed, device, check);
    const std = (from: number): number => 1 / Math.sqrt(3 * from);
    const matrix = (name: string, from: number, to: number, scale = 1): void =>
      void build.normal(`${name}.weight`, [to, from], scale * std(from));
    const biased = (name: string, from: number, to: number, scale = 1): void => {
      matrix(name, from, to, scale);
      build.constant(`${name}.bias`, [to], 0);
    };
    for (let m = 0; m < config.members; m++) {
      const own = (name: string): string => nameOf(m, name);
      build.normal(own('wte.weight'), [this.vocabulary.size, C], 0.5);
      build.normal(own('endings.weight'), [ENDINGS, C], 0.2);
      build.normal(own('places.weight'), [PLACES, C], 0.2);
      for (let i = 0; i < nLayer; i++) {
        const block = (part: string): string => own(`h.${i}.${part}`);
        for (const norm of ['ln_0', 'ln_1', 'ln_2']) build.constant(block(`${norm}.weight`), [C], 1);
        build.normal(block('conv.weight'), [convolution, C], 0.3);
        matrix(block('qkv'), C, 3 * C);
        matrix(block('out'), C, C, 0.5);
        build.normal(block('gates.weight'), [nHead * RELATIONS, C], 0.02);
        build.constant(block('gates.bias'), [nHead * RELATIONS], 0);
        biased(block('up'), C, nInner);
        biased(block('down'), nInner, C, 0.5);
      }
      build.constant(own('ln_f.weight'), [C], 1);
      build.normal(own('operands.weight'), [config.constants.length + D - 1, C], 0.3);
      biased(own('queries'), C, D * C);
      biased(own('keys'), C, C);
      biased(own('coefficients'), C, 2);
      biased(own('pairs'), C, C);
      biased(own('pairQueries'), C, 2 * D * C);
      biased(own('kinds'), C, 2 * D);
    }
    this.parameters = build.parameters;
    // Heads begin with relations of their own: the same word, the word after the same word, the one before it, and what is near.
    const gates = new Float32Array(nHead * RELATIONS);
    const put = (head: number, relation: number, value: number): void => {
      if (head < nHead) gates[head * RELATIONS + relation] = value;
    };
    for (const h of [0, 1, 2]) put(h, h, 2);
    put(3, 5, 3);
    put(3, 6, 1);
    if (seed === null) return;
    for (const [name, parameter] of this.parameters) if (name.endsWith('gates.bias')) parameter.set(gates);
  }

  /** Tensors of B problems of n numbers each. @param encoded How `vocabulary` encodes each; hidden words in training. */
  inputs(encoded: readonly EncodedProblem[], numbers: number): ProblemInputs {
    const T = Math.max(...encoded.map(({ ids }) => ids.length));
    const B = encoded.length;
    const [ids, endings, places] = [0, 1, 2].map(() => new Int32Array(B * T)) as [
      Int32Array,
      Int32Array,
      Int32Array,
    ];
    const ends = Int32Array.from(encoded, (one, b) => b * T + one.ids.length - 1);
    encoded.forEach((one, b) => {
      ids.set(one.ids, b * T);
      endings.set(one.endings, b * T);
      places.set(one.places, b * T);
    });
    const slots = Int32Array.from({ length: B * numbers }, (_, i) => {
      const k = i % numbers;
      return ends[(i - k) / numbers]! - numbers + k;
    });
    const { device } = this.parameters.get('wte.weight')!;
    const whole = (data: Int32Array, shape: readonly number[]): Tensor =>
      tensor(data, shape, { dtype: 'i32', device });
    return {
      ...{ tokens: whole(ids, [B, T]), endings: whole(endings, [B, T]), places: whole(places, [B, T]) },
      relations: tensor(relations(ids, places, [B, T], this.vocabulary.stops), [B * T, RELATIONS, T], {
        device,
      }),
      padding: tensor(
        Float32Array.from(ids, (id) => (id === 0 ? HIDDEN : 0)),
        [B, 1, 1, T],
        { device },
      ),
      ...{ ends: whole(ends, [B]), slots: whole(slots, [B * numbers]) },
    };
  }

  /** Why the model does not read a problem; null where it does. */
  refusalOf({ words, numbers }: WordProblem): string | null {
    const { length } = numbers;
    if (length === 0) return 'the text has no number in digits';
    if (length > MOST_SLOTS)
      return `the text has ${length} numbers, and this model reads up to ${MOST_SLOTS}`;
    if (!numbers.every(Number.isFinite)) return 'the text has a number beyond the largest double';
    if (words.length > MOST_WORDS)
      return `the text has ${words.length} words and signs, and this model reads up to ${MOST_WORDS}`;
    return this.library.plans(length).size === 0
      ? `this model has no plan of ${length} number${length === 1 ? '' : 's'}`
      : null;
  }

  /**
   * Solves problems that all have the same number of numbers.
   *
   * @throws {ModelError} `unreadable` where `refusalOf` refuses one; `bad-input` for what is no list of such problems.
   */
  solve(problems: readonly WordProblem[]): Solved[] {
    return this.logProbabilities(problems).map((logProbabilities, i) => {
      const { numbers } = problems[i]!;
      const rawPlan = logProbabilities.reduce((best, x, k) => (x > logProbabilities[best]! ? k : best), 0);
      const raw = valueOf(this.library.plans(numbers.length).steps[rawPlan]!, numbers);
      const [{ value, probability, plan }] = this.weighed(numbers, logProbabilities) as [ProbableValue];
      // A sum of probabilities may be rounded to more than 1.
      return { value, confidence: Math.min(1, probability), raw, plan, rawPlan };
    });
  }

  /** (K) of each problem: log probabilities of its plans by the text alone. The problems all have the same number of numbers. */
  logProbabilities(problems: readonly WordProblem[]): Float64Array[] {
    checkList('problems as an array of { words, numbers }', problems);
    if (problems.length === 0) return [];
    for (const problem of problems) {
      checkObject('a problem such as { words, numbers }', problem);
      checkList('the words of a problem as an array', problem.words);
      checkList('the numbers of a problem as an array', problem.numbers);
      const refusal = this.refusalOf(problem);
      if (refusal !== null) throw new ModelError('unreadable', refusal);
    }
    const n = problems[0]!.numbers.length;
    const other = problems.find(({ numbers }) => numbers.length !== n);
    if (other)
      throw new ModelError(
        'bad-input',
        `problems that are read together have the same number of numbers, given ${n} and ${other.numbers.length}`,
      );
    const { size } = this.library.plans(n);
    const all = scope(() =>
      noGrad(() => {
        const encoded = problems.map(({ words }) => this.vocabulary.encode(words, n));
        const inputs = this.inputs(encoded, n);
        const members = this.forward(inputs, n).map((cells) => logSoftmax(this.score(cells, n)));
        return Float64Array.from(logSoftmax(affine(members.reduce(add), 1 / members.length)).dataSync());
      }),
    );
    return problems.map((_, i) => all.subarray(i * size, (i + 1) * size));
  }

  /** The values of plans over these numbers with number evidence, the most probable first. */
  weighed(
    numbers: readonly number[],
    logProbabilities: Float64Array,
    evidence: NumberEvidence = this.config.evidence ?? NO_FIT,
  ): ProbableValue[] {
    const n = numbers.length;
    const shares = this.#shares.get(n) ?? validShares(this.library, n);
    this.#shares.set(n, shares);
    return weighed(logProbabilities, { values: this.library.values(numbers), shares, numbers }, evidence);
  }

  /**
   * Solves a problem in words, such as "Mia had 12 pears and ate 5 of them. How many are left?".
   *
   * @throws {ModelError} `unreadable` where the text has no number in digits, more numbers or words than the model has room for, or a number beyond
   *   the largest double; `bad-input` for what is no text.
   */
  predict(text: string): SolvedProblem {
    checkText('a problem in words', text);
    const read = readProblem(text);
    const { numbers, places } = read;
    const [solved] = this.solve([{ words: problemWords(read.text), numbers }]);
    const { value, raw, confidence, plan } = solved!;
    const steps = this.library.plans(numbers.length).steps[plan]!;
    const tensors = planTensors(steps, numbers);
    const used = new Set(
      steps.flatMap(({ terms }) =>
        terms.flatMap(([operand]) => (operand.kind === 'number' ? [operand.index] : [])),
      ),
    );
    return {
      ...{ text, value, raw, confidence, tensors, expression: expressionOf(tensors) },
      numbers: numbers.map((number, i) => {
        const [begin, end] = places[i]!;
        return { value: number, begin, end, isUsed: used.has(i) };
      }),
    };
  }

  /** Reads a file of `save`. @throws {ModelError} as `PredictorModel.load`. */
  static load(file: FileBytes, options: { device?: Device } = {}): ProblemModel {
    return decodeWeights(
      file,
      'ProblemModel',
      (config: ProblemConfig, check) => new ProblemModel(config, { ...options, seed: null, check }),
    );
  }

  /** Fetches a file of `save` and reads it. @throws {ModelError} as `PredictorModel.fetch`. */
  static async fetch(url: string | URL, options: FetchOptions = {}): Promise<ProblemModel> {
    return fetchModel(url, options, ProblemModel.load);
  }

  /** The cells of the plans of B problems of n numbers, as each member reads them. */
  forward(inputs: ProblemInputs, numbers: number, dropoutSeed?: number): Cells[] {
    const { members, dropout: p } = this.config;
    let site = 0;
    const drop: Drop = (x, share = p) =>
      dropoutSeed === undefined || share === 0 ? x : dropout(x, share, [dropoutSeed, site++]);
    return Array.from({ length: members }, (_, member) => this.#read(inputs, numbers, member, drop));
  }

  #read(inputs: ProblemInputs, numbers: number, member: number, drop: Drop): Cells {
    const { nEmbd: C, nLayer, depth: D, dropout: p } = this.config;
    const parameter = (name: string): Tensor | undefined => this.parameters.get(nameOf(member, name));
    const weight = (name: string): Tensor => parameter(name)!;
    const apply = (name: string, x: Tensor): Tensor =>
      linear(x, weight(`${name}.weight`), parameter(`${name}.bias`) ?? null);
    const norm = (name: string, x: Tensor): Tensor => layerNorm(x, weight(`${name}.weight`), null);
    const [B, T] = inputs.tokens.shape as [number, number];

    let x = drop(
      [
        embedding(weight('wte.weight'), inputs.tokens),
        embedding(weight('endings.weight'), inputs.endings),
        embedding(weight('places.weight'), inputs.places),
      ].reduce(add),
      (2 / 3) * p,
    );
    for (let i = 0; i < nLayer; i++) {
      const name = (part: string): string => `h.${i}.${part}`;
      x = add(x, convolved(norm(name('ln_0'), x), weight(name('conv.weight'))));
      const y = norm(name('ln_1'), x);
      x = add(x, drop(apply(name('out'), this.#attended(y, inputs, name, apply))));
      x = add(x, drop(apply(name('down'), gelu(apply(name('up'), norm(name('ln_2'), x))))));
    }
    x = reshape(norm('ln_f', x), [B * T, C]);

    const end = drop(embedding(x, inputs.ends));
    const slots = drop(reshape(embedding(x, inputs.slots), [B, numbers, C]));
    const others = weight('operands.weight');
    const operands = cat([slots, expand(unsqueeze(others, 0), [B, ...others.shape])], 1);
    const M = operands.shape[1]!;
    const keys = reshape(apply('keys', operands), [B, 1, M, C]);
    const queries = reshape(apply('queries', end), [B, D, 1, C]);
    const mixed = apply('coefficients', drop(gelu(add(queries, keys))));
    const pairQueries = reshape(apply('pairQueries', end), [B, 2 * D, C]);
    const pairs = affine(matmul(pairQueries, transpose(apply('pairs', operands))), 2 / Math.sqrt(C));
    return {
      operands: add(mixed, permute(reshape(pairs, [B, D, 2, M]), [0, 1, 3, 2])),
      kinds: reshape(apply('kinds', end), [B, D, 2]),
    };
  }

  /** (B, K) logits of all plans over n numbers: the sum of the logits of their cells. */
  score({ operands, kinds }: Cells, numbers: number): Tensor {
    const [B, D, M] = operands.shape as [number, number, number];
    const { features, size } = this.library.plans(numbers);
    const known = tensor(features, [size, this.library.width(numbers)], { device: operands.device });
    const flat = cat(
      [
        reshape(permute(operands, [0, 3, 1, 2]), [B, 2 * D * M]),
        reshape(permute(kinds, [0, 2, 1]), [B, 2 * D]),
      ],
      1,
    );
    return linear(flat, known, null);
  }

  #attended(
    y: Tensor,
    inputs: ProblemInputs,
    name: (part: string) => string,
    apply: (name: string, x: Tensor) => Tensor,
  ): Tensor {
    const { nEmbd: C, nHead: H } = this.config;
    const [B, T] = y.shape as [number, number];
    const heads = permute(reshape(apply(name('qkv'), y), [B, T, 3, H, C / H]), [2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((i) => select(heads, 0, i)) as [Tensor, Tensor, Tensor];
    const gates = reshape(apply(name('gates'), y), [B * T, H, RELATIONS]);
    const bias = permute(reshape(matmul(gates, inputs.relations), [B, T, H, T]), [0, 2, 1, 3]);
    const scores = matmul(affine(q, 1 / Math.sqrt(C / H)), transpose(k));
    const weights = softmax(add(add(scores, bias), inputs.padding));
    return reshape(permute(matmul(weights, v), [0, 2, 1, 3]), [B, T, C]);
  }
}

/** Σ w_i ⊙ x_(t−i) over i = 0 … n − 1, (B, T, C). */
function convolved(x: Tensor, weight: Tensor): Tensor {
  const [B, T, C] = x.shape as [number, number, number];
  const n = weight.shape[0]!;
  const padded = cat([zeros([B, n - 1, C], { dtype: x.dtype, device: x.device }), x], 1);
  let y: Tensor | null = null;
  for (let i = 0; i < n; i++) {
    const term = mul(narrow(padded, 1, n - 1 - i, T), select(weight, 0, i));
    y = y ? add(y, term) : term;
  }
  return y!;
}

/** Sizes of tensors are 32-bit integers. */
const MOST = 2 ** 31 - 1;

/** @throws {ModelError} `bad-config` where a value is out of range. `PlanLibrary` checks the templates. */
function checkConfig(config: ProblemConfig): void {
  checkConfigObject(config);
  const refuse = (what: string, given: unknown): never => {
    throw new ModelError('bad-config', `${what}, given ${named(given)}`);
  };
  const { members, nLayer, nHead, nEmbd, nInner, convolution, depth, dropout: p } = config;
  const counts = { members, nLayer, nHead, nEmbd, nInner, convolution, depth };
  for (const [name, count] of Object.entries(counts))
    if (!isWhole(count, MOST) || count < 1) refuse(`${name} is a whole number from 1`, count);
  if (nEmbd % nHead !== 0) refuse('nEmbd is divisible by nHead', nEmbd / nHead);
  if (typeof p !== 'number' || !(p >= 0 && p < 1)) refuse('dropout is in [0, 1)', p);
  const { words, constants, evidence } = config;
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string'))
    refuse('words is a list of texts', words);
  if (!Array.isArray(constants) || !constants.every(Number.isFinite))
    refuse('constants is a list of numbers', constants);
  if (evidence === undefined) return;
  checkObject('evidence such as { temperature, rarity }', evidence, 'bad-config');
  if (!(evidence.temperature > 0 && Number.isFinite(evidence.rarity)))
    refuse('evidence has a temperature above 0 and a rarity', evidence.temperature);
}
