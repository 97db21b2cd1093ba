import type { Readout } from '@dag/model';
import type { LossWeights } from '../config/losses.js';

export type ReadoutName = Readout;

interface ReadoutTraining {
  /** Default weights of its losses. Those on the plan may be enabled with any readout. */
  readonly losses: LossWeights;
  /** Whether numbers have no more digits than `model.digits`. */
  readonly holdsDigits: boolean;
}

/** What training has to know of each readout: it is trained on what it predicts, registers on their contents, linear heads on the plan. */
export const READOUTS: Readonly<Record<ReadoutName, ReadoutTraining>> = {
  registers: {
    losses: {
      digits: 12,
      negative: 1,
      operators: 1,
      precedence: 0.5,
      count: 10,
      magnitude: 0,
      sign: 0,
      operand: 0,
      domain: 0,
      execution: 0,
    },
    holdsDigits: true,
  },
  linear: {
    losses: { magnitude: 1, sign: 1, operand: 1, domain: 1, execution: 0.1 },
    holdsDigits: false,
  },
};
