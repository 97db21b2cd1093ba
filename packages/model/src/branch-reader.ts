import { add, embedding, type Tensor } from '@dag/executor';
import { Block, drop, Linear, Norm, rowsAt, type GptConfig, type ParameterBuilder } from './gpt.js';
import type { BlockCache } from './key-value-cache.js';
import { TOKEN_KINDS } from './tokenizer/tokenizer.js';

/** Initial weights of the context are small: at first tokens are read by their kinds, and training adds the context. */
const CONTEXT_STD = 0.002;

/** An embedding of tokens by their kinds; digits come from the token records. */
export const kindsOf = (build: ParameterBuilder, width: number): Tensor =>
  build.normal('branch.kinds.weight', [TOKEN_KINDS, width], 0.02);

/**
 * Transformer blocks of the calculating branch. They read tokens from an embedding of their kinds plus a projection of the backbone's hidden
 * states. Positions, where the backbone has learned ones, count from the first token that is read.
 */
export class BranchReader {
  private readonly config: GptConfig;
  private readonly kinds: Tensor;
  private readonly wpe: Tensor | null;
  private readonly context: Linear;
  private readonly blocks: readonly Block[];
  private readonly lnF: Norm;
  private readonly site: number;

  /**
   * @param kinds an embedding of `kindsOf`.
   * @param layers number of blocks, each of the width and heads of the backbone that `config` describes.
   * @param site the first of 1 + 3 · layers random streams of dropout.
   */
  constructor(
    name: string,
    kinds: Tensor,
    layers: number,
    config: GptConfig,
    build: ParameterBuilder,
    site: number,
  ) {
    const { blockSize, nEmbd, bias, convolution = 0 } = config;
    this.config = config;
    this.kinds = kinds;
    this.site = site;
    this.wpe = convolution > 0 ? null : build.normal(`${name}.wpe.weight`, [blockSize, nEmbd], 0.02);
    this.context = new Linear(`${name}.context`, nEmbd, nEmbd, bias, build, CONTEXT_STD);
    this.blocks = Array.from(
      { length: layers },
      (_, i) => new Block(`${name}.h.${i}`, { ...config, nLayer: layers }, build, site + 3 * i + 1),
    );
    this.lnF = new Norm(`${name}.ln_f`, nEmbd, bias, build);
  }

  /**
   * @param kinds (M, L) kinds of the tokens, of dtype i32.
   * @param hidden (M, L, C) hidden states of the backbone.
   * @param given `position` of the first token, 0 by default, and a cache of each block, where the tokens before were read.
   * @returns (M, L, C) hidden states.
   */
  forward(
    kinds: Tensor,
    hidden: Tensor,
    given: {
      readonly dropoutSeed?: number | Tensor | undefined;
      readonly position?: number | Tensor | undefined;
      readonly caches?: readonly BlockCache[] | undefined;
    } = {},
  ): Tensor {
    const { dropoutSeed, position = 0, caches } = given;
    const embedded = embedding(this.kinds, kinds);
    const placed = this.wpe ? add(embedded, rowsAt(this.wpe, position, hidden.shape[1]!)) : embedded;
    const x = this.context.forward(hidden, { residual: placed });
    const first = drop(x, this.config.dropout, dropoutSeed, this.site);
    return this.lnF.forward(
      this.blocks.reduce((h, block, i) => block.forward(h, dropoutSeed, caches?.[i]), first),
    );
  }
}
