import { readPrefixes, type Mark, type Prefixes } from '@dag/expr';
import { decisionOf, NESTING, type RegisterLayout } from '@dag/model';
import { compile, writeGraph, zeroDag, type DagTensors, type Program } from '@dag/tensorize';

/** What each token of a text decides, by class; −1 where that is not counted. */
export interface DecisionTargets {
  /** Classes of `DECISIONS`. */
  readonly classes: Int32Array;
  /** Classes of `NESTING`. */
  readonly nestings: Int32Array;
  /** 1 where the text up to the token is a whole expression, 0 where it is not. */
  readonly completes: Int32Array;
}

/** Decisions of `size` tokens, none of them counted. */
export function decisionTargets(size: number): DecisionTargets {
  const uncounted = (): Int32Array => new Int32Array(size).fill(UNCOUNTED);
  return { classes: uncounted(), nestings: uncounted(), completes: uncounted() };
}

const UNCOUNTED = -1;

/** Targets of many prefixes, one row each. Rows that are not written (`valid` 0) are no expression. */
export interface PrefixTargets {
  readonly valid: Uint8Array;
  /** 1 for the tokens whose decisions count: those of a text up to a mistake in it. */
  readonly decided: Uint8Array;
  readonly decisions: DecisionTargets;
  /** Null if no loss reads plans. */
  readonly plan: DagTensors | null;
}

/** Targets of `size` prefixes. @param plans Whether they have plans. */
export const prefixTargets = (size: number, layout: RegisterLayout, plans: boolean): PrefixTargets => ({
  valid: new Uint8Array(size),
  decided: new Uint8Array(size),
  decisions: decisionTargets(size),
  plan: plans ? zeroDag({ depth: layout.depth, size }) : null,
});

/**
 * Writes the targets of all prefixes of one text: the prefix of the first token to row `first`, that of the first two tokens
 * to the next row, and so on. Plans of prefixes that do not fit into the layout are not written.
 *
 * @param pieces The texts of the tokens.
 * @param isLate Whether an operator or sign is written by the token with which the next number, sign or parenthesis begins, as in
 *   running text (`calculationTargets`), and not by its own.
 */
export function writePrefixTargets(
  targets: PrefixTargets,
  first: number,
  pieces: readonly string[],
  layout: RegisterLayout,
  isLate = false,
): void {
  const prefixes = readPrefixes(pieces.join(''));
  const decisions = new Decisions(prefixes, isLate);
  let shape: Shape | null = null;
  let [end, read] = [0, 0];
  for (let t = 0; t < pieces.length; t++) {
    end += pieces[t]!.length;
    const prefix = prefixes.at(end);
    decisions.write(targets.decisions, first + t, end, prefix?.last ?? -1);
    if (prefix === null) continue;
    read = t + 1;
    const { last, literal } = prefix;
    if (shape?.literals.length !== last + 1) shape = shapeOf(prefixes, last);
    const { literals, program, sign } = shape;
    if (literals[last] !== literal) {
      literals[last] = literal;
      program.numbers[program.numbers.length - 1] = sign * Number(literal);
    }
    if (!fits(shape, layout)) continue;
    if (targets.plan) writeGraph(program, targets.plan, first + t);
    targets.valid[first + t] = 1;
  }
  targets.decided.fill(1, first, first + read);
}

/** The decision of each operator in symbols. */
export const OPERATORS: Readonly<Record<string, string>> = { '+': 'add', '-': 'sub', '*': 'mul', '/': 'div' };

/** What the tokens of a text decide, one after another. */
class Decisions {
  private readonly marks: readonly Mark[];
  private readonly isLate: boolean;
  private next = 0;
  private numbers = 0;
  private depth = 0;
  private hasOperand = false;
  /** Numbers that have begun, and the decision of the mark that a later token writes. */
  private begun = 0;
  private pending = 'none';

  constructor({ marks }: Prefixes, isLate: boolean) {
    this.marks = marks;
    this.isLate = isLate;
  }

  /**
   * Writes what a token decides as row `row`.
   *
   * @param end Index in the text after the token.
   * @param last Index of the last number that begins in the text up to there; −1 where none does.
   */
  write(targets: DecisionTargets, row: number, end: number, last: number): void {
    let [decision, nesting] = ['none', 0];
    const putOff = (): void => {
      if (this.pending !== 'none') decision = this.pending;
      this.pending = 'none';
    };
    if (last >= this.begun) {
      this.begun = last + 1;
      putOff();
    }
    for (; this.next < this.marks.length && this.marks[this.next]!.end <= end; this.next++) {
      const { kind, text } = this.marks[this.next]!;
      this.hasOperand = kind === 'number' || kind === 'close';
      if (kind === 'number') this.numbers++;
      if (kind === 'open') nesting++;
      if (kind === 'close') nesting--;
      if (kind === 'open' || kind === 'sign') putOff();
      const own = kind === 'operator' ? OPERATORS[text]! : kind === 'sign' && text === '-' ? 'neg' : 'none';
      if (this.isLate) this.pending = own;
      else if (own !== 'none') decision = own;
    }
    this.depth += nesting;
    targets.classes[row] = decisionOf(decision);
    targets.nestings[row] = NESTING.indexOf(nesting);
    // Within a number it is open whether it ends.
    const isWithin = last >= this.numbers;
    targets.completes[row] = isWithin ? UNCOUNTED : Number(this.hasOperand && this.depth === 0);
  }
}

/** The structure shared by prefixes with the same number of numbers. They differ only in the last number, which is overwritten. */
interface Shape {
  readonly literals: string[];
  readonly program: Program & { readonly numbers: number[] };
  /** Sign of the last number in the program, which minuses before groups may affect: `-(-(2` is 2. */
  readonly sign: number;
}

function shapeOf({ literals, complete }: Prefixes, last: number): Shape {
  const program = compile(complete(last));
  const value = program.numbers.at(-1)!;
  return {
    literals: literals.slice(0, last + 1),
    program: { ...program, numbers: [...program.numbers] },
    sign: value < 0 || Object.is(value, -0) ? -1 : 1,
  };
}

const fits = ({ literals, program }: Shape, { depth, digits }: RegisterLayout): boolean =>
  program.numbers.length <= depth &&
  program.steps.length <= depth &&
  literals.every((literal) => literal.replace('.', '').length <= digits);
