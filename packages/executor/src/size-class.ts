/** A cache line. */
const SMALLEST = 64;

/**
 * The bytes of a block that holds `bytes`: one of eight sizes between one power of two and the next, so that no more than a ninth of a
 * block lies idle, and blocks serve requests of other lengths.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= SMALLEST) return SMALLEST;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}
