import { expect, test } from '@jest/globals';
import { tensor } from '@dag/executor';
import { addReadout, linearReadout, readoutNames, type Readout } from '../src/index.js';
import { GraphOps } from '../src/onnx/graph-ops.js';
import { TensorOps } from '../src/plan-predictor/array-ops.js';

/** A readout of another name with one part missing. */
const without = (part: keyof Readout): Readout =>
  ({ ...linearReadout, name: 'another', [part]: undefined }) as unknown as Readout;

test.each(['make', 'plan', 'harden', 'fields', 'losses', 'weights', 'holdsDigits', 'hasPowers'] as const)(
  'a readout without %s is not registered',
  (part) => {
    expect(() => addReadout(without(part))).toThrow(part);
    expect(readoutNames()).not.toContain('another');
  },
);

test('a hard readout that names a weight the model does not have is told so', () => {
  const missing = expect.objectContaining({
    code: 'bad-input',
    message: "the model has no weight 'plan.typo.weight'",
  });
  expect(() => new TensorOps().linear('plan.typo', tensor([[1]]))).toThrow(missing);
  const graph = new GraphOps(new Map());
  expect(() => graph.linear('plan.typo', graph.f32(1))).toThrow(missing);
});
