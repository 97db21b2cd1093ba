import { add, narrow, type Tensor } from '@dag/executor';
import { Block, drop, Linear, Norm, type GptConfig, type ParameterBuilder } from './gpt.js';

/** Small beside an embedding: at first an expression is read by its tokens, its context comes in as it is of use. */
const CONTEXT_STD = 0.002;

/**
 * Blocks of the calculating branch alone. They read expressions by the embedding of their tokens and by what the backbone
 * says at each; positions count from the first token of the expression, wherever it stands in the text.
 */
export class ExpressionReader {
  private readonly config: GptConfig;
  private readonly wpe: Tensor;
  private readonly context: Linear;
  private readonly blocks: readonly Block[];
  private readonly lnF: Norm;

  /** `layers` blocks of the width and heads of the backbone that `config` describes. */
  constructor(name: string, layers: number, config: GptConfig, build: ParameterBuilder) {
    const { blockSize, nEmbd, nLayer, bias } = config;
    this.config = config;
    this.wpe = build.normal(`${name}.wpe.weight`, [blockSize, nEmbd], 0.02);
    this.context = new Linear(`${name}.context`, nEmbd, nEmbd, bias, build, CONTEXT_STD);
    this.blocks = Array.from(
      { length: layers },
      (_, i) => new Block(`${name}.h.${i}`, { ...config, nLayer: layers }, build, 3 * (nLayer + i) + 2),
    );
    this.lnF = new Norm(`${name}.ln_f`, nEmbd, bias, build);
  }

  /** Embeddings (M, L, C) of the tokens of M expressions, and the backbone's hidden states there → (M, L, C). */
  forward(embedded: Tensor, hidden: Tensor, dropoutSeed?: number | Tensor): Tensor {
    const { nLayer, dropout } = this.config;
    const placed = add(embedded, narrow(this.wpe, 0, 0, embedded.shape[1]!));
    const x = this.context.forward(hidden, { residual: placed });
    const first = drop(x, dropout, dropoutSeed, 3 * nLayer + 1);
    return this.lnF.forward(this.blocks.reduce((h, block) => block.forward(h, dropoutSeed), first));
  }
}
