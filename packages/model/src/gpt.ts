import {
  add,
  cat,
  causalAttention,
  dropout,
  embedding,
  full,
  layerNorm,
  linear,
  matmulPrecision,
  mul,
  narrow,
  randn,
  select,
  zeros,
  type Activation,
  type Device,
  type DType,
  type LinearOptions,
  type Shape,
  type Tensor,
} from '@dag/executor';
import { fnv1a } from '@dag/expr';
import { checkObject, isTensor, isWhole, named } from './arguments.js';
import { ModelError } from './error.js';
import { attendCached, KeyValueCache, type BlockCache } from './key-value-cache.js';

/** The sizes of a GPT, under nanoGPT's names. Each is a whole number of at least 1, except where its own line says otherwise. */
export interface GptConfig {
  /** Maximum length of a sequence in tokens. */
  readonly blockSize: number;
  /** Number of token ids, V. */
  readonly vocabSize: number;
  /** Number of transformer blocks. */
  readonly nLayer: number;
  /** Number of attention heads of a block. */
  readonly nHead: number;
  /** Width of the residual stream, C; divisible by `nHead`. */
  readonly nEmbd: number;
  /** Dropout probability of embeddings, attention weights and residual branches in training, in [0, 1). */
  readonly dropout: number;
  /** Whether linear layers and layer norms have biases, as in GPT-2. */
  readonly bias: boolean;
  /** Depth D of the predicted plans, from 0; at 0 a GPT predicts none. */
  readonly depth: number;
  /**
   * n: blocks begin with a causal depthwise convolution, x_t += Σ w_i ⊙ x_(t−i) over i = 1 … n, and there are no positions, so that no
   * weight depends on where a token is. 0 by default: positions are learned, as in GPT-2.
   */
  readonly convolution?: number;
  /** Activation of the blocks: 'gelu' (exact) by default, or 'geluTanh', with which GPT-2 was trained. */
  readonly activation?: Activation;
}

/** The parameters of a model by name; those of the backbone have the names of GPT-2's state dict. */
export type Parameters = ReadonlyMap<string, Tensor>;

/** Called with the name and shape of a parameter before it is allocated; throws where a file does not have it. */
export type ParameterCheck = (name: string, shape: Shape) => void;

/** How a model's weights are made. */
export interface ModelOptions {
  /** Seed of the initial weights, 0 by default. The same seed gives the same bits. null makes zeros, to be overwritten. */
  readonly seed?: number | null;
  /** Device of the weights; the default device where left out. */
  readonly device?: Device | undefined;
  /** Called with the name and shape of each parameter before it is allocated. */
  readonly check?: ParameterCheck;
}

/** Makes parameters. Each is drawn from a random stream of its own, by its name, so that adding one does not change others. */
export class ParameterBuilder {
  /** The parameters made so far, by name. */
  readonly parameters = new Map<string, Tensor>();
  private readonly seed: number | null;
  readonly device: Device | undefined;
  private readonly check: ParameterCheck | undefined;

  /**
   * @param seed Seed of random weights, or null for zeros, to be overwritten.
   * @param device Device of the parameters; the default device where left out.
   * @param check Called with the name and shape of each parameter before it is allocated.
   */
  constructor(seed: number | null, device?: Device, check?: ParameterCheck) {
    this.seed = seed;
    this.device = device;
    this.check = check;
  }

  /**
   * A parameter of normal numbers with mean 0 and standard deviation `std`.
   *
   * @throws {ModelError} `bad-config` where there is a parameter of that name already.
   */
  normal(name: string, shape: Shape, std: number): Tensor {
    if (this.seed === null) return this.constant(name, shape, 0);
    this.check?.(name, shape);
    return this.add(name, randn(shape, { seed: [this.seed, fnv1a(name)], std, ...this.options() }));
  }

  /** A parameter whose elements are all `value`. @throws {ModelError} as `normal`. */
  constant(name: string, shape: Shape, value: number): Tensor {
    this.check?.(name, shape);
    return this.add(name, value === 0 ? zeros(shape, this.options()) : full(shape, value, this.options()));
  }

  private options(): { requiresGrad: true; device?: Device } {
    return this.device ? { requiresGrad: true, device: this.device } : { requiresGrad: true };
  }

  private add(name: string, tensor: Tensor): Tensor {
    if (this.parameters.has(name))
      throw new ModelError(
        'bad-config',
        `there is a parameter '${name}' already; each has a name of its own`,
      );
    this.parameters.set(name, tensor);
    return tensor;
  }
}

/** Options of a forward pass. */
export interface ForwardOptions {
  /**
   * For training: turns dropout on and seeds its masks; give each training step another number. A tensor of one f64 in a recorded step
   * (`recordStep` of the executor). No dropout where left out. On `cuda` with `setMatmulPrecision('medium')` the blocks also store their
   * activations in bf16 then.
   */
  readonly dropoutSeed?: number | Tensor | undefined;
  /** Position of the first token, 0 by default. A tensor (T) of i32 with the position of each token in a recorded step. */
  readonly position?: number | Tensor;
  /** Keys and values of the tokens before these, which the pass extends. Excludes `position` and `dropoutSeed`. */
  readonly cache?: KeyValueCache;
}

/**
 * The GPT-2 backbone as in nanoGPT: learned positions, pre-norm blocks, causal self-attention, GELU, a last layer
 * norm; no head. Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
 */
export class Gpt {
  readonly config: GptConfig;
  private readonly wte: Tensor;
  private readonly wpe: Tensor | null;
  private readonly blocks: readonly Block[];
  private readonly lnF: Norm;

  /** Adds its parameters to `build`. @throws {ModelError} `bad-config` where a size is out of range. */
  constructor(config: GptConfig, build: ParameterBuilder) {
    checkConfig(config);
    checkBuilder(build);
    this.config = config;
    const { vocabSize, blockSize, nEmbd, nLayer, bias, convolution = 0 } = config;
    this.wte = build.normal('wte.weight', [vocabSize, nEmbd], 0.02);
    this.wpe = convolution > 0 ? null : build.normal('wpe.weight', [blockSize, nEmbd], 0.02);
    this.blocks = Array.from({ length: nLayer }, (_, i) => new Block(`h.${i}`, config, build, 3 * i + 1));
    this.lnF = new Norm('ln_f', nEmbd, bias, build);
  }

  /**
   * tokens (B, T) of dtype i32 → hidden states (B, T, C). Needs position + T ≤ blockSize.
   *
   * @throws {ModelError} `shape` where tokens are no such tensor or too many, `bad-input` for options out of range.
   */
  forward(tokens: Tensor, options: ForwardOptions = {}): Tensor {
    checkForward(options, this.config);
    const { dropoutSeed, cache, position = cache?.length ?? 0 } = options;
    const shape = isTensor(tokens) ? tokens.shape : [];
    const [, time] = shape;
    const { blockSize } = this.config;
    const longest = typeof position === 'number' ? blockSize - position : position.size;
    if (shape.length !== 2 || time === undefined || time > longest)
      throw new ModelError(
        'shape',
        `Gpt: tokens are a tensor (B, T) with T up to ${longest}, given ${isTensor(tokens) ? `(${shape.join(', ')})` : named(tokens)}`,
      );
    const embedded = embedding(this.wte, tokens, {
      ...(this.wpe ? { positions: rowsAt(this.wpe, position, time) } : {}),
      ...(dropoutSeed === undefined ? {} : { dropout: this.config.dropout, seed: [dropoutSeed, 0] }),
    });
    const x = this.blocks.reduce((h, block, i) => block.forward(h, dropoutSeed, cache?.blocks[i]), embedded);
    if (cache) cache.length += time;
    return this.lnF.forward(x);
  }

  /**
   * hidden (…, C) → logits of the next token (…, V). The head is tied to the token embedding.
   *
   * @param bias (V), added to the logits.
   */
  logits(hidden: Tensor, bias: Tensor | null = null): Tensor {
    return linear(hidden, this.wte, bias);
  }
}

/** The T rows of learned positions `wpe` that begin at a number `position`, or those at the positions in a tensor (T). */
export const rowsAt = (wpe: Tensor, position: number | Tensor, T: number): Tensor =>
  typeof position === 'number' ? narrow(wpe, 0, position, T) : embedding(wpe, position);

/** A pre-norm transformer block: causal self-attention, then an MLP of four times the width, with residual connections. */
export class Block {
  private readonly config: GptConfig;
  private readonly convolution: Convolution | null;
  private readonly ln1: Norm;
  private readonly attention: Linear;
  private readonly attentionOut: Linear;
  private readonly ln2: Norm;
  private readonly up: Linear;
  private readonly down: Linear;
  /** Random streams of this block's dropout: `site`, `site + 1` and `site + 2`. */
  private readonly site: number;

  constructor(name: string, config: GptConfig, build: ParameterBuilder, site: number) {
    const { nEmbd: C, nLayer, bias, convolution = 0 } = config;
    // As in GPT-2, the std of projections into the residual stream is scaled by 1/√(number of these projections).
    const residualStd = 0.02 / Math.sqrt(2 * nLayer);
    this.config = config;
    this.site = site;
    this.convolution = convolution > 0 ? new Convolution(`${name}.conv`, convolution, C, build) : null;
    this.ln1 = new Norm(`${name}.ln_1`, C, bias, build);
    this.attention = new Linear(`${name}.attn.c_attn`, C, 3 * C, bias, build);
    this.attentionOut = new Linear(`${name}.attn.c_proj`, C, C, bias, build, residualStd);
    this.ln2 = new Norm(`${name}.ln_2`, C, bias, build);
    this.up = new Linear(`${name}.mlp.c_fc`, C, 4 * C, bias, build);
    this.down = new Linear(`${name}.mlp.c_proj`, 4 * C, C, bias, build, residualStd);
  }

  forward(x: Tensor, dropoutSeed?: number | Tensor, cache?: BlockCache): Tensor {
    const { nHead: heads, dropout: p, activation = 'gelu' } = this.config;
    if (this.convolution) x = this.convolution.forward(x, cache);
    const weights = dropoutSeed === undefined ? {} : { dropout: p, seed: [dropoutSeed, this.site] as const };
    const dtype = storageOf(x, dropoutSeed);
    const qkv = this.attention.forward(this.ln1.forward(x, dtype), { dtype });
    const attended = cache ? attendCached(qkv, heads, cache) : causalAttention(qkv, { heads, ...weights });
    const added = (to: Tensor, site: number): LinearOptions => ({
      residual: to,
      ...(dropoutSeed === undefined ? {} : { dropout: p, seed: [dropoutSeed, site] }),
    });
    x = this.attentionOut.forward(attended, added(x, this.site + 1));
    const hidden = this.up.forward(this.ln2.forward(x, dtype), { activation, dtype });
    return this.down.forward(hidden, added(x, this.site + 2));
  }
}

/**
 * The dtype of activations inside a block: bf16 in training on `cuda` where products round to it anyway. The residual stream keeps that
 * of x, and so does everything where no dropout is seeded.
 */
const storageOf = (x: Tensor, dropoutSeed: number | Tensor | undefined): DType =>
  dropoutSeed !== undefined && x.device === 'cuda' && matmulPrecision() === 'medium' ? 'bf16' : x.dtype;

/** Dropout with probability p by random stream `site`; x itself without a seed. */
export function drop(x: Tensor, p: number, dropoutSeed: number | Tensor | undefined, site: number): Tensor {
  return dropoutSeed === undefined ? x : dropout(x, p, [dropoutSeed, site]);
}

/** x·Wᵀ + b. Initial weights are normal with std 0.02 as in GPT-2, initial biases 0. */
export class Linear {
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(name: string, from: number, to: number, bias: boolean, build: ParameterBuilder, std = 0.02) {
    this.weight = build.normal(`${name}.weight`, [to, from], std);
    this.bias = bias ? build.constant(`${name}.bias`, [to], 0) : null;
  }

  forward(x: Tensor, options?: LinearOptions): Tensor {
    return linear(x, this.weight, this.bias, options);
  }
}

/** A causal depthwise convolution with a residual connection: x_t + Σ w_i ⊙ x_(t−i) over i = 1 … n. Initial weights are normal with std 0.3. */
class Convolution {
  private readonly weight: Tensor;

  constructor(name: string, n: number, width: number, build: ParameterBuilder) {
    this.weight = build.normal(`${name}.weight`, [n, width], 0.3);
  }

  /** (B, T, C) → (B, T, C). The tokens before are those of a cache, which the pass extends. */
  forward(x: Tensor, cache?: BlockCache): Tensor {
    const [B, T, C] = x.shape as [number, number, number];
    const n = this.weight.shape[0]!;
    const before = cache?.recent ?? zeros([B, n, C], { dtype: x.dtype, device: x.device });
    const padded = cat([before, x], 1);
    if (cache) {
      cache.recent?.dispose();
      cache.recent = narrow(padded, 1, T, n);
    }
    let y = x;
    for (let i = 1; i <= n; i++) y = add(y, mul(narrow(padded, 1, n - i, T), select(this.weight, 0, i - 1)));
    return y;
  }
}

/** Layer norm over the last dimension. */
export class Norm {
  private readonly weight: Tensor;
  private readonly bias: Tensor | null;

  constructor(name: string, width: number, bias: boolean, build: ParameterBuilder) {
    this.weight = build.constant(`${name}.weight`, [width], 1);
    this.bias = bias ? build.constant(`${name}.bias`, [width], 0) : null;
  }

  forward(x: Tensor, dtype: DType = x.dtype): Tensor {
    return layerNorm(x, this.weight, this.bias, undefined, { dtype });
  }
}

/** @throws {ModelError} `bad-input` unless `build` is a ParameterBuilder. */
export function checkBuilder(build: ParameterBuilder): void {
  if (build instanceof ParameterBuilder) return;
  throw new ModelError('bad-input', `expected a ParameterBuilder, given ${named(build)}`);
}

/** @throws {ModelError} `bad-config` unless `config` is an object. */
export function checkConfigObject(config: object): void {
  checkObject('a configuration such as { blockSize: 32, nLayer: 2, … }', config, 'bad-config');
}

/** @throws {ModelError} `bad-input` for a position out of range, and for a cache of fewer layers. */
function checkForward(options: ForwardOptions, { blockSize, nLayer }: GptConfig): void {
  checkObject('options such as { position: 0 }', options);
  const { dropoutSeed, position, cache } = options;
  if (position !== undefined && !isWhole(position, blockSize) && !isTensor(position))
    throw new ModelError(
      'bad-input',
      `Gpt: position is a whole number from 0 to ${blockSize - 1}, or a tensor, given ${named(position)}`,
    );
  if (cache === undefined) return;
  if (!(cache instanceof KeyValueCache) || cache.blocks.length < nLayer)
    throw new ModelError('bad-input', `Gpt: cache is a KeyValueCache of at least ${nLayer} layers`);
  if (position !== undefined || dropoutSeed !== undefined)
    throw new ModelError('bad-input', 'Gpt: a cache goes neither with a position nor with dropout');
}

/** Sizes of tensors are 32-bit integers. */
const MOST = 2 ** 31 - 1;

function checkConfig(config: GptConfig): void {
  checkConfigObject(config);
  const {
    blockSize,
    vocabSize,
    nLayer,
    nHead,
    nEmbd,
    dropout: p,
    depth,
    activation = 'gelu',
    convolution = 0,
  } = config;
  for (const [name, value] of Object.entries({ blockSize, vocabSize, nLayer, nHead, nEmbd }))
    if (!Number.isInteger(value) || value < 1 || value > MOST)
      throw new ModelError(
        'bad-config',
        `${name} is a whole number from 1 to ${MOST}, given ${named(value)}`,
      );
  if (!Number.isInteger(depth) || depth < 0)
    throw new ModelError('bad-config', `depth is a whole number from 0, given ${named(depth)}`);
  if (!Number.isInteger(convolution) || convolution < 0 || convolution > blockSize)
    throw new ModelError(
      'bad-config',
      `convolution is a whole number from 0 to blockSize, given ${named(convolution)}`,
    );
  if (nEmbd % nHead !== 0)
    throw new ModelError('bad-config', `nEmbd is divisible by nHead, given ${nEmbd} and ${nHead}`);
  if (typeof config.bias !== 'boolean')
    throw new ModelError('bad-config', `bias is true or false, given ${named(config.bias)}`);
  if (typeof p !== 'number' || !(p >= 0 && p < 1))
    throw new ModelError('bad-config', `dropout is in [0, 1), given ${named(p)}`);
  if (!['gelu', 'geluTanh'].includes(activation))
    throw new ModelError('bad-config', `activation is 'gelu' or 'geluTanh', given ${named(activation)}`);
}
