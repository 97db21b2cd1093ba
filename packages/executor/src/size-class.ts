/** Smallest block: a cache line. */
const SMALLEST = 64;

/**
 * The size class of a request: the bytes of the block that serves it. There are eight size classes from one power of two to the next, so
 * a block serves requests of similar lengths and wastes at most a ninth.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= SMALLEST) return SMALLEST;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}
