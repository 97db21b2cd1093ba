import { InvalidArgumentError } from 'commander';

/** Reads an option's whole number from `least` on. */
export const atLeast =
  (least: number) =>
  (text: string): number => {
    const n = Number(text);
    if (!Number.isInteger(n) || n < least)
      throw new InvalidArgumentError(`a whole number from ${least} is expected.`);
    return n;
  };
