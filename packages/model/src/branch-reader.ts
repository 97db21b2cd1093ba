import { add, embedding, narrow, tensor, type Tensor } from '@dag/executor';
import { Block, drop, Linear, Norm, type GptConfig, type ParameterBuilder } from './gpt.js';
import { TOKEN_KINDS, type TokenRecord } from './tokenizer/tokenizer.js';

/** Initial weights of the context are small: at first expressions are read by their tokens, and training adds the context. */
const CONTEXT_STD = 0.002;

/**
 * Transformer blocks of the calculating branch. They read an expression from an embedding of its tokens' kinds (digits come
 * from the token records) plus a projection of the backbone's hidden states. Positions, where the
 * backbone has learned ones, count from the first token of the expression.
 */
export class ExpressionReader {
  private readonly config: GptConfig;
  private readonly kinds: Tensor;
  private readonly wpe: Tensor | null;
  private readonly context: Linear;
  private readonly blocks: readonly Block[];
  private readonly lnF: Norm;

  /** @param layers number of blocks, each of the width and heads of the backbone that `config` describes. */
  constructor(name: string, layers: number, config: GptConfig, build: ParameterBuilder) {
    const { blockSize, nEmbd, nLayer, bias, convolution = 0 } = config;
    this.config = config;
    this.kinds = build.normal(`${name}.kinds.weight`, [TOKEN_KINDS, nEmbd], 0.02);
    this.wpe = convolution > 0 ? null : build.normal(`${name}.wpe.weight`, [blockSize, nEmbd], 0.02);
    this.context = new Linear(`${name}.context`, nEmbd, nEmbd, bias, build, CONTEXT_STD);
    this.blocks = Array.from(
      { length: layers },
      (_, i) => new Block(`${name}.h.${i}`, { ...config, nLayer: layers }, build, 3 * (nLayer + i) + 2),
    );
    this.lnF = new Norm(`${name}.ln_f`, nEmbd, bias, build);
  }

  /** `records` of M · L tokens, row-major, and the backbone's hidden states (M, L, C) → hidden states (M, L, C). */
  forward(records: readonly TokenRecord[], hidden: Tensor, dropoutSeed?: number | Tensor): Tensor {
    const { nLayer, dropout } = this.config;
    const [M, L] = hidden.shape as [number, number, number];
    const kinds = Int32Array.from(records, ({ kind }) => kind);
    const embedded = embedding(this.kinds, tensor(kinds, [M, L], { dtype: 'i32', device: hidden.device }));
    const placed = this.wpe ? add(embedded, narrow(this.wpe, 0, 0, L)) : embedded;
    const x = this.context.forward(hidden, { residual: placed });
    const first = drop(x, dropout, dropoutSeed, 3 * nLayer + 1);
    return this.lnF.forward(this.blocks.reduce((h, block) => block.forward(h, dropoutSeed), first));
  }
}
