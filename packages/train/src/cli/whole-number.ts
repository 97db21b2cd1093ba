import { InvalidArgumentError } from 'commander';

/** A parser for options whose value is a whole number from `least` to `most`. */
export const atLeast =
  (least: number, most = Infinity) =>
  (text: string): number => {
    const n = Number(text);
    if (!Number.isInteger(n) || n < least || n > most)
      throw new InvalidArgumentError(
        `a whole number from ${least}${most === Infinity ? '' : ` to ${most}`} is expected.`,
      );
    return n;
  };
