import { describe, expect, it } from '@jest/globals';
import { gradCheck, mul, square, sum, tensor } from '../src/index.js';

describe('gradCheck', () => {
  const leaf = (values: number[]) =>
    tensor(Float64Array.from(values), [values.length], { requiresGrad: true });

  it('finds nothing wrong with a right gradient, though the inputs had one before', () => {
    const x = leaf([1, 2]);
    sum(square(x)).backward();
    const { failures, maxError } = gradCheck(() => sum(square(x)), [x]);
    expect(failures).toEqual([]);
    expect(maxError).toBeLessThan(1e-9);
  });

  it('names every element whose gradient is wrong', () => {
    const x = leaf([1, 0, -2]);
    // The tape sees half of the derivative of x².
    const { failures, maxError } = gradCheck(() => sum(mul(x, x.detach())), [x]);
    expect(failures).toEqual([
      expect.stringMatching(/^input 0\[0\] = 1: gradient 1, difference (2|1\.9999)/),
      expect.stringMatching(/^input 0\[2\] = -2: gradient -2, difference -(4|3\.9999)/),
    ]);
    expect(maxError).toBeCloseTo(0.5);
  });

  it('counts an input that the function does not read as one of gradient 0', () => {
    const x = leaf([1]);
    const unused = leaf([5]);
    expect(gradCheck(() => sum(square(x)), [x, unused]).failures).toEqual([]);
  });

  it('leaves the values of the inputs as they were', () => {
    const x = leaf([0.1, 1e-9, -3]);
    gradCheck(() => sum(square(x)), [x]);
    expect(Array.from(x.dataSync())).toEqual([0.1, 1e-9, -3]);
  });

  it('refuses inputs in f32 and inputs without a gradient', () => {
    const narrow = tensor([1], [1], { dtype: 'f32', requiresGrad: true });
    const fixed = tensor(Float64Array.of(1));
    expect(() => gradCheck(() => sum(narrow), [narrow])).toThrow(
      expect.objectContaining({
        code: 'dtype',
        message: expect.stringMatching(/^gradCheck: .*f64, given f32/),
      }),
    );
    expect(() => gradCheck(() => sum(fixed), [fixed])).toThrow(
      expect.objectContaining({ code: 'autograd', message: expect.stringMatching(/^gradCheck: /) }),
    );
  });
});
