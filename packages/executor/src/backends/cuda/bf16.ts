/** Numbers of bf16, the upper halves of f32, as JavaScript writes and reads them. */

/** Rounded to nearest, ties to even; NaN stays NaN. */
export function toBf16(numbers: ArrayLike<number>): Uint16Array {
  const bits = new Uint16Array(numbers.length);
  const number = new Float32Array(1);
  const word = new Uint32Array(number.buffer);
  for (let i = 0; i < bits.length; i++) {
    const x = numbers[i]!;
    number[0] = x;
    // As f32 to odd, which keeps apart what lies on different sides of the middle of two bf16.
    const nearest = number[0];
    if (nearest < x || nearest > x) word[0] = (Math.abs(nearest) > Math.abs(x) ? word[0]! - 1 : word[0]!) | 1;
    bits[i] = Number.isNaN(x) ? 0x7fff : (word[0]! + 0x7fff + ((word[0]! >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The same numbers as f32. */
export function fromBf16(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
}
