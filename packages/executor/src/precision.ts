import { named } from './arguments.js';
import { ExecutorError } from './error.js';

/** How matrix products of f32 are computed on `cuda`: in f32, or on tensor cores from inputs rounded to TF32 or bf16. */
export type MatmulPrecision = 'highest' | 'high' | 'medium';

let current: MatmulPrecision = 'highest';

/** The precision that `setMatmulPrecision` set; 'highest' before. */
export function matmulPrecision(): MatmulPrecision {
  return current;
}

/**
 * Sets the precision of matrix products and linear layers of f32 on the device `cuda`, as in PyTorch: 'highest' f32, 'high'
 * TF32 (10 bits after the point), 'medium' bf16 (7 bits). Sums are f32. Other devices compute in f32.
 *
 * @throws {ExecutorError} `value` for anything else.
 */
export function setMatmulPrecision(precision: MatmulPrecision): void {
  if (!['highest', 'high', 'medium'].includes(precision))
    throw new ExecutorError(
      'value',
      `setMatmulPrecision: 'highest', 'high' or 'medium', given ${named(precision)}`,
    );
  current = precision;
}
