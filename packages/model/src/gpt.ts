import {
  add,
  causalAttention,
  dropout,
  embedding,
  full,
  layerNorm,
  linear,
  narrow,
  randn,
  zeros,
  type Activation,
  type Device,
  type LinearOptions,
  type Shape,
  type Tensor,
} from '@dag/executor';
import { fnv1a } from '@dag/expr';
import { checkObject, isTensor, isWhole, named } from './arguments.js';
import { ModelError } from './error.js';
import { attendCached, KeyValueCache, type BlockCache } from './key-value-cache.js';

export interface GptConfig {
  /** Longest sequence, in tokens. */
  readonly blockSize: number;
  readonly vocabSize: number;
  readonly nLayer: number;
  readonly nHead: number;
  /** Width of the residual stream; divisible by `nHead`. */
  readonly nEmbd: number;
  /** Dropout of embeddings, attention weights and residual branches while training, in [0, 1). */
  readonly dropout: number;
  /** Biases in linear layers and layer norms, as in GPT-2. */
  readonly bias: boolean;
  /** Depth of the plans that are predicted; 0: a GPT without them. */
  readonly depth: number;
  /** Of the blocks: 'gelu', the exact one, where left out; 'geluTanh' is what GPT-2 was trained with. */
  readonly activation?: Activation;
}

/** Parameters by the names of GPT-2's state dict. */
export type Parameters = ReadonlyMap<string, Tensor>;

/** Throws where a parameter is not the one that is wanted, as that of a file. */
export type ParameterCheck = (name: string, shape: Shape) => void;

/** What a model's weights are made by. */
export interface ModelOptions {
  /** Of the initial weights: the same seed gives the same bits; 0 where left out; null: zeros, for weights to come. */
  readonly seed?: number | null;
  readonly device?: Device | undefined;
  /** Called before the memory of each parameter is taken. */
  readonly check?: ParameterCheck;
}

/** Makes parameters, each from a random stream of its own, so that adding one changes no other. */
export class ParameterBuilder {
  readonly parameters = new Map<string, Tensor>();
  private readonly seed: number | null;
  readonly device: Device | undefined;
  private readonly check: ParameterCheck | undefined;

  /**
   * @param seed Of random weights; null: zeros, to be overwritten.
   * @param check Called before the memory of each parameter is taken.
   */
  constructor(seed: number | null, device?: Device, check?: ParameterCheck) {
    this.seed = seed;
    this.device = device;
    this.check = check;
  }

  normal(name: string, shape: Shape, std: number): Tensor {
    if (this.seed === null) return this.constant(name, shape, 0);
    this.check?.(name, shape);
    return this.add(name, randn(shape, { seed: [this.seed, fnv1a(name)], std, ...this.options() }));
  }

  constant(name: string, shape: Shape, value: number): Tensor {
    this.check?.(name, shape);
    return this.add(name, value === 0 ? zeros(shape, this.options()) : full(shape, value, this.options()));
  }

  private options(): { requiresGrad: true; device?: Device } {
    return this.device ? { requiresGrad: true, device: this.device } : { requiresGrad: true };
  }

  private add(name: string, tensor: Tensor): Tensor {
    this.parameters.set(name, tensor);
    return tensor;
  }
}

export interface ForwardOptions {
  /**
   * Turns dropout on; a number that no other training step uses, so that every step has masks of its own. In a recorded
   * step (`recordStep` of the executor) a tensor of one f64.
   */
  readonly dropoutSeed?: number | Tensor | undefined;
  /** Position of the first token; 0 where left out. In a recorded step a tensor (T) of i32: that of each token. */
  readonly position?: number | Tensor;
  /** What earlier calls have kept of the tokens before these, to be extended by these. Not with `position` or dropout. */
  readonly cache?: KeyValueCache;
}

/**
 * The GPT-2 backbone as in nanoGPT: learned positions, pre-norm blocks, causal self-attention, GELU, a last layer
 * norm; no head. Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
 */
export class Gpt {
  readonly config: GptConfig;
  private readonly wte: Tensor;
  private readonly wpe: Tensor;
  private readonly blocks: readonly Block[];
  private readonly lnF: Norm;

  /** Adds its parameters to `build`. @throws {ModelError} `bad-config`. */
  constructor(config: GptConfig, build: ParameterBuilder) {
    checkConfig(config);
    checkBuilder(build);
    this.config = config;
    const { vocabSize, blockSize, nEmbd, nLayer, bias } = config;
    this.wte = build.normal('wte.weight', [vocabSize, nEmbd], 0.02);
    this.wpe = build.normal('wpe.weight', [blockSize, nEmbd], 0.02);
    this.blocks = Array.from({ length: nLayer }, (_, i) => new Block(`h.${i}`, config, build, 3 * i + 1));
    this.lnF = new Norm('ln_f', nEmbd, bias, build);
  }

  /** tokens (B, T) of dtype i32, position + T ≤ blockSize → hidden states (B, T, C). */
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
    const places =
      typeof position === 'number' ? narrow(this.wpe, 0, position, time) : embedding(this.wpe, position);
    let x = add(this.embed(tokens), places);
    x = this.blocks.reduce(
      (h, block, i) => block.forward(h, dropoutSeed, cache?.blocks[i]),
      drop(x, this.config.dropout, dropoutSeed, 0),
    );
    if (cache) cache.length += time;
    return this.lnF.forward(x);
  }

  /** The embedding of tokens (…) of dtype i32: (…, C). */
  private embed(tokens: Tensor): Tensor {
    return embedding(this.wte, tokens);
  }

  /**
   * hidden (…, C) → the logits of the next token (…, V), by the embedding of tokens: head and embedding are tied.
   *
   * @param bias (V), added to them.
   */
  logits(hidden: Tensor, bias: Tensor | null = null): Tensor {
    return linear(hidden, this.wte, bias);
  }
}

/** Norm, causal self-attention, norm and a layer of four times the width, each added to the residual stream. */
export class Block {
  private readonly config: GptConfig;
  private readonly ln1: Norm;
  private readonly attention: Linear;
  private readonly attentionOut: Linear;
  private readonly ln2: Norm;
  private readonly up: Linear;
  private readonly down: Linear;
  /** Dropout of this block uses the streams `site`, `site + 1` and `site + 2`. */
  private readonly site: number;

  constructor(name: string, config: GptConfig, build: ParameterBuilder, site: number) {
    const { nEmbd: C, nLayer, bias } = config;
    // GPT-2 scales what is added to the residual stream by 1/√(number of additions).
    const residualStd = 0.02 / Math.sqrt(2 * nLayer);
    this.config = config;
    this.site = site;
    this.ln1 = new Norm(`${name}.ln_1`, C, bias, build);
    this.attention = new Linear(`${name}.attn.c_attn`, C, 3 * C, bias, build);
    this.attentionOut = new Linear(`${name}.attn.c_proj`, C, C, bias, build, residualStd);
    this.ln2 = new Norm(`${name}.ln_2`, C, bias, build);
    this.up = new Linear(`${name}.mlp.c_fc`, C, 4 * C, bias, build);
    this.down = new Linear(`${name}.mlp.c_proj`, 4 * C, C, bias, build, residualStd);
  }

  forward(x: Tensor, dropoutSeed?: number | Tensor, cache?: BlockCache): Tensor {
    const { nHead: heads, dropout: p, activation = 'gelu' } = this.config;
    const weights = dropoutSeed === undefined ? {} : { dropout: p, seed: [dropoutSeed, this.site] as const };
    const qkv = this.attention.forward(this.ln1.forward(x));
    const attended = cache ? attendCached(qkv, heads, cache) : causalAttention(qkv, { heads, ...weights });
    const added = (to: Tensor, site: number): LinearOptions => ({
      residual: to,
      ...(dropoutSeed === undefined ? {} : { dropout: p, seed: [dropoutSeed, site] }),
    });
    x = this.attentionOut.forward(attended, added(x, this.site + 1));
    const hidden = this.up.forward(this.ln2.forward(x), { activation });
    return this.down.forward(hidden, added(x, this.site + 2));
  }
}

export function drop(x: Tensor, p: number, dropoutSeed: number | Tensor | undefined, site: number): Tensor {
  return dropoutSeed === undefined ? x : dropout(x, p, [dropoutSeed, site]);
}

/** x·Wᵀ + b; normal weights (0.02 as in GPT-2), zero bias. */
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

export class Norm {
  private readonly weight: Tensor;
  private readonly bias: Tensor | null;

  constructor(name: string, width: number, bias: boolean, build: ParameterBuilder) {
    this.weight = build.constant(`${name}.weight`, [width], 1);
    this.bias = bias ? build.constant(`${name}.bias`, [width], 0) : null;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias);
  }
}

/** @throws {ModelError} `bad-input` unless parameters can be added to `build`. */
export function checkBuilder(build: ParameterBuilder): void {
  if (build instanceof ParameterBuilder) return;
  throw new ModelError('bad-input', `expected a ParameterBuilder, given ${named(build)}`);
}

/** @throws {ModelError} `bad-config` for what is no object. */
export function checkConfigObject(config: object): void {
  checkObject('a configuration such as { blockSize: 32, nLayer: 2, … }', config, 'bad-config');
}

/** @throws {ModelError} `bad-input` for a position before the first or beyond the last, and a cache that is not this model's. */
function checkForward(options: ForwardOptions, { blockSize, nLayer }: GptConfig): void {
  checkObject('options such as { position: 0 }', options);
  const { dropoutSeed, position, cache } = options;
  if (position !== undefined && !isWhole(position, blockSize) && !isTensor(position))
    throw new ModelError(
      'bad-input',
      `Gpt: position is a whole number from 0 to ${blockSize - 1}, or a tensor, given ${named(position)}`,
    );
  if (cache === undefined) return;
  if (!(cache instanceof KeyValueCache) || cache.blocks.length !== nLayer)
    throw new ModelError('bad-input', `Gpt: cache is a KeyValueCache of ${nLayer} layers`);
  if (position !== undefined || dropoutSeed !== undefined)
    throw new ModelError('bad-input', 'Gpt: a cache goes neither with a position nor with dropout');
}

/** Sizes of tensors are 32-bit integers. */
const MOST = 2 ** 31 - 1;

function checkConfig(config: GptConfig): void {
  checkConfigObject(config);
  const { blockSize, vocabSize, nLayer, nHead, nEmbd, dropout: p, depth, activation = 'gelu' } = config;
  for (const [name, value] of Object.entries({ blockSize, vocabSize, nLayer, nHead, nEmbd }))
    if (!Number.isInteger(value) || value < 1 || value > MOST)
      throw new ModelError(
        'bad-config',
        `${name} is a whole number from 1 to ${MOST}, given ${named(value)}`,
      );
  if (!Number.isInteger(depth) || depth < 0)
    throw new ModelError('bad-config', `depth is a whole number from 0, given ${named(depth)}`);
  if (nEmbd % nHead !== 0)
    throw new ModelError('bad-config', `nEmbd is divisible by nHead, given ${nEmbd} and ${nHead}`);
  if (typeof config.bias !== 'boolean')
    throw new ModelError('bad-config', `bias is true or false, given ${named(config.bias)}`);
  if (typeof p !== 'number' || !(p >= 0 && p < 1))
    throw new ModelError('bad-config', `dropout is in [0, 1), given ${named(p)}`);
  if (!['gelu', 'geluTanh'].includes(activation))
    throw new ModelError('bad-config', `activation is 'gelu' or 'geluTanh', given ${named(activation)}`);
}
