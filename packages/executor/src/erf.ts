/**
 * The error function to double precision: W. J. Cody, "Rational Chebyshev Approximations for the Error
 * Function", Math. Comp. 23 (1969), with the coefficients of his CALERF.
 */
export function erf(x: number): number {
  const y = Math.abs(x);
  if (y <= 0.46875) {
    const z = y * y;
    return (x * (polynomial(A, z) + A_LAST * z * z * z * z)) / (polynomial(B, z) + z * z * z * z);
  }
  if (!(y < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  return Math.sign(x) * (1 - Math.exp(-y * y) * (y <= 4 ? erfcMiddle(y) : erfcFar(y)));
}

function erfcMiddle(y: number): number {
  let numerator = C[8]! * y;
  let denominator = y;
  for (let i = 0; i < 7; i++) {
    numerator = (numerator + C[i]!) * y;
    denominator = (denominator + D[i]!) * y;
  }
  return (numerator + C[7]!) / (denominator + D[7]!);
}

function erfcFar(y: number): number {
  const z = 1 / (y * y);
  let numerator = P[5]! * z;
  let denominator = z;
  for (let i = 0; i < 4; i++) {
    numerator = (numerator + P[i]!) * z;
    denominator = (denominator + Q[i]!) * z;
  }
  return (1 / Math.sqrt(Math.PI) - (z * (numerator + P[4]!)) / (denominator + Q[4]!)) / y;
}

/** Σ c_i · z^(n−1−i), by Horner's rule. */
function polynomial(c: readonly number[], z: number): number {
  let sum = 0;
  for (const a of c) sum = sum * z + a;
  return sum;
}

const A_LAST = 0.18577770618460315;
const A = [3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694];
const B = [23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171];
const C = [
  0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001, 881.952221241769,
  1712.0476126340707, 2051.0783778260716, 1230.3393547979972, 2.1531153547440383e-8,
];
const D = [
  15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
  4362.619090143247, 3439.3676741437216, 1230.3393548037493,
];
const P = [
  0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.01608378514874228, 0.0006587491615298378,
  0.016315387137302097,
];
const Q = [
  2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
];
