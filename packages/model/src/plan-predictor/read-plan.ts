import { cast, reshape, type DagTensorFields, type Tensor } from '@dag/executor';
import { checkRegisters } from './check-fields.js';
import { checkLayout, type RegisterLayout } from './layout.js';
import { placeNumbers, readNumbers, slotNodes } from './numbers.js';
import { readOperators } from './operators.js';
import { compare, placeSteps } from './precedence.js';
import type { Registers } from './registers.js';

/**
 * Reads the plan from the registers at every token: V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D) in f64.
 * Differentiable; where every register is certain it equals `readHardPlan`.
 *
 * @throws {ModelError} `shape` unless the registers have the fields of the layout; `bad-config` for an invalid layout.
 */
export function readPlan(registers: Registers, layout: RegisterLayout): DagTensorFields {
  checkLayout(layout);
  checkRegisters(registers, layout);
  const [B, T] = registers.count.shape as [number, number];
  const N = B * T;
  const flat = (x: Tensor): Tensor => cast(reshape(x, [N, ...x.shape.slice(2)]), 'f64');
  const numbers = readNumbers(
    flat(registers.digits),
    flat(registers.length),
    flat(registers.negative),
    layout,
  );
  const operators = readOperators(flat(registers.operators), numbers.begun, layout);
  const nodes = slotNodes(operators, layout);
  const { V_mag, V_sign } = placeNumbers(numbers, nodes, layout);
  const binds = compare(flat(registers.priority));
  const { O, G } = placeSteps(operators, binds, nodes, layout);
  const shaped = (x: Tensor): Tensor => reshape(x, [B, T, ...x.shape.slice(1)]);
  return { V_mag: shaped(V_mag), V_sign: shaped(V_sign), O: shaped(O), G: shaped(G) };
}
