import { describe, expect, it } from '@jest/globals';
import { bind, checkTensors, detensorize, tensorizeAll, zeroDag, type DagTensors } from '../src/index.js';

const numbers = (length: number): Float64Array => new Float64Array(length);

describe('tensors of the format', () => {
  it.each<[string, DagTensors]>([
    ['one graph', zeroDag({ depth: 1, size: 1 })],
    ['a batch', tensorizeAll(['1 + 2', '3'], { depth: 4 })],
    ['rows under one plan', bind('x + y', { x: [1, 2, 3], y: 1 })],
  ])('pass: %s', (_, tensors) => {
    expect(() => {
      checkTensors(tensors);
    }).not.toThrow();
  });

  it.each<[string, Partial<DagTensors>, RegExp]>([
    ['a depth that is no whole number', { depth: 2.5 }, /depth .* got 2.5/],
    ['a size of nothing', { size: 0 }, /size .* got 0/],
    ['too few magnitudes', { V_mag: numbers(11) }, /V_mag has 12 numbers for size 3 and depth 2, got 11/],
    ['too many signs', { V_sign: numbers(16) }, /V_sign has 12 numbers/],
    ['coefficients of another depth', { O: numbers(27) }, /O has 24 numbers/],
    ['domains of another size', { G: numbers(4) }, /G has 6 numbers .* or 2 for one shared plan, got 4/],
    ['a shared O without a shared G', { O: numbers(8) }, /O has 24 numbers .* got 8/],
    ['a shared G without a shared O', { G: numbers(2) }, /O has 8 numbers .* got 24/],
  ])('do not have %s', (_, wrong, message) => {
    const tensors = { ...zeroDag({ depth: 2, size: 3 }), ...wrong };
    const error = expect.objectContaining({ code: 'bad-tensors', message: expect.stringMatching(message) });
    expect(() => {
      checkTensors(tensors);
    }).toThrow(error);
    expect(() => detensorize(tensors)).toThrow(error);
  });

  it('are doubles', () => {
    const single: object = { ...zeroDag({ depth: 2, size: 1 }), V_mag: new Float32Array(4) };
    expect(() => {
      checkTensors(single as DagTensors);
    }).toThrow(/V_mag is a Float64Array/);
  });
});
