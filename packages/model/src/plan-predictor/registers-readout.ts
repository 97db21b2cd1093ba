import { readHardPlan } from './hard-plan.js';
import { writeHardRegisters } from './hard-registers.js';
import { registerFields } from './layout.js';
import { readPlan } from './read-plan.js';
import type { Readout } from './readout.js';
import { registerLosses } from './register-losses.js';
import { RegisterWriter, type Registers } from './registers.js';

const HEAD = 'plan.decide';

/** The readout `registers`: tokens write registers by running sums, and the plan is computed from the registers. The formulas are in docs/readouts.md of the package. */
export const registersReadout: Readout<Registers> = {
  name: 'registers',
  holdsDigits: true,
  hasPowers: false,
  losses: registerLosses,
  weights: { negative: 1, operators: 1, precedence: 0.5, count: 10 },

  fields: registerFields,

  make(width, layout, build) {
    const writer = new RegisterWriter(HEAD, width, layout, build);
    return (hidden, features, options) => writer.forward(hidden, features, options);
  },

  plan: readPlan,

  harden(ops, hidden, features, layout) {
    const decisions = ops.double(ops.linear(HEAD, hidden));
    return readHardPlan(ops, writeHardRegisters(ops, decisions, features, layout), layout);
  },
};
