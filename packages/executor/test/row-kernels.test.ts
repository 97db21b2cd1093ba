/** Kernels over rows, by index and of the optimiser, of every variant against `reference`. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Storage, Target } from '../src/backend.js';
import { setNumThreads } from '../src/index.js';
import { allVariants, expectAgreement, resultsOf, variants, type Bench, type Case } from './kernel-cases.js';

const dtypes = ['f32', 'f64'] as const;
const runs = { numRuns: 25 };
const seeds = fc.nat();
const rowCounts = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 5 }) },
  { weight: 2, arbitrary: fc.constantFrom(63, 64, 65, 130) },
);
/** Sizes of rows on both sides of a vector, and of a piece that a thread takes. */
const rowSizes = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 40 }) },
  { weight: 2, arbitrary: fc.constantFrom(63, 64, 65, 128, 257) },
);
const wide = (u: number): number => 60 * u - 30;
/** As `clipGradNorm` makes it: one number in double, also beside f32. */
function totalOf({ backend }: Bench, value: number): Storage {
  const total = backend.allocate('f64', 2);
  backend.write(total, [value, 0]);
  return total;
}

describe(`${allVariants} agree with reference:`, () => {
  describe.each(dtypes)('%s', (dtype) => {
    it.each(['softmax', 'logSoftmax'] as const)('%s and its gradient', (op) => {
      const log = op === 'logSoftmax';
      fc.assert(
        fc.property(rowCounts, rowSizes, seeds, fc.boolean(), (rows, n, seed, accumulate) => {
          const forward: Case = (on) => {
            on.backend.softmax(on.input(rows * n, wide), on.output(rows * n), n, log);
          };
          const backward: Case = (on) => {
            const y = on.input(rows * n, log ? (u) => 3 * Math.log(u) : (u) => u / n);
            on.backend.softmaxBackward(y, on.input(rows * n), on.target(rows * n, accumulate), n, log);
          };
          // A difference of numbers up to 30 is rounded before the exponential; sums of n terms.
          expectAgreement(forward, dtype, seed, { units: 8 + n / 8, scale: log ? 60 : 1 });
          expectAgreement(backward, dtype, seed, { units: 8 + n / 8, scale: 2 * n });
        }),
        runs,
      );
    });

    it('cross-entropy and its gradient, with targets that are left out', () => {
      fc.assert(
        fc.property(rowCounts, rowSizes, seeds, fc.boolean(), (rows, n, seed, accumulate) => {
          const run: Case = (on) => {
            const [x, targets] = [on.input(rows * n, wide), on.indices(rows, -1, n)];
            const [losses, logSums] = [on.output(rows), on.input(rows)];
            on.backend.crossEntropy(x, targets, losses, logSums, n);
            const gradX = on.target(rows * n, accumulate);
            on.backend.crossEntropyBackward(x, targets, logSums, on.input(rows), gradX, n);
          };
          // The gradient has the rounding of a difference of numbers up to 60 as a relative error.
          expectAgreement(run, dtype, seed, { units: 8 + n / 8, scale: 60 });
        }),
        runs,
      );
    });

    it('rows with NaN, infinities, or nothing but −∞', () => {
      const n = 19;
      const rows = [
        [NaN],
        [Infinity],
        [-Infinity],
        [Infinity, -Infinity],
        new Array<number>(n).fill(-Infinity),
      ];
      const values = rows.flatMap((row) => [...row, ...new Array<number>(n - row.length).fill(0.5)]);
      const input = (on: Bench): Storage => {
        let i = 0;
        return on.input(values.length, () => values[i++]!);
      };
      const run: Case = (on) => {
        on.backend.softmax(input(on), on.output(values.length), n, false);
        on.backend.softmax(input(on), on.output(values.length), n, true);
        on.backend.crossEntropy(input(on), on.indices(5, 0, n), on.output(5), on.output(5), n);
      };
      expectAgreement(run, dtype, 1, { units: 8 });
    });

    it('layer normalisation and its gradients, each where it is wanted', () => {
      const flags = fc.array(fc.constantFrom('no', 'overwrite', 'add'), { minLength: 3, maxLength: 3 });
      fc.assert(
        fc.property(rowCounts, rowSizes, seeds, flags, fc.boolean(), (rows, n, seed, wanted, biased) => {
          const forward: Case = (on) => {
            const [x, weight, bias] = [on.input(rows * n), on.input(n), biased ? on.input(n) : null];
            on.backend.layerNorm(x, weight, bias, on.output(rows * n), on.output(2 * rows), n, 1e-2);
          };
          const backward: Case = (on) => {
            const [x, weight, gradY] = [on.input(rows * n), on.input(n), on.input(rows * n)];
            const stats = on.input(2 * rows, (u) => u + 0.5);
            const [gradX, gradWeight, gradBias] = [rows * n, n, n].map((length, i) =>
              wanted[i] === 'no' ? null : on.target(length, wanted[i] === 'add'),
            );
            on.backend.layerNormBackward(x, weight, stats, gradY, gradX!, gradWeight!, gradBias!, n);
          };
          // With eps = 0.01 a row of equal numbers is divided by 0.1; terms are up to 2·10.
          expectAgreement(forward, dtype, seed, { units: 16 + n / 4, scale: 40 });
          expectAgreement(backward, dtype, seed, { units: 16 + n / 4 + rows, scale: 80 });
        }),
        runs,
      );
    });

    it.each([
      [1, 1],
      [3, 256],
      [2, 1024],
      [600, 12],
      [9, 2048],
      [2, 2049],
      [70, 2052],
    ])('layer normalisation of %d rows of %d, and its gradients', (rows, n) => {
      const run: Case = (on) => {
        const [x, weight, stats] = [on.input(rows * n), on.input(n), on.output(2 * rows)];
        on.backend.layerNorm(x, weight, on.input(n), on.output(rows * n), stats, n, 1e-2);
        const targets = [rows * n, n, n].map((length, i) => on.target(length, i !== 1)) as [
          Target,
          Target,
          Target,
        ];
        on.backend.layerNormBackward(x, weight, stats, on.input(rows * n), ...targets, n);
      };
      // With eps = 0.01 a row of equal numbers is divided by 0.1; terms are up to 2·10.
      expectAgreement(run, dtype, rows + n, { units: 16 + n / 4 + rows, scale: 80 });
    });

    it('gather and its gradient', () => {
      fc.assert(
        fc.property(rowCounts, rowSizes, seeds, fc.boolean(), (rows, n, seed, accumulate) => {
          const run: Case = (on) => {
            const index = on.indices(rows, -1, n);
            on.backend.gather(on.input(rows * n), index, on.output(rows), n);
            on.backend.gatherBackward(index, on.input(rows), on.target(rows * n, accumulate), n);
          };
          expectAgreement(run, dtype, seed, { units: 1 });
        }),
        runs,
      );
    });

    it('embedding and its gradient, also where many indices are one row', () => {
      const tables = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.oneof(rowSizes, fc.constant(600)));
      fc.assert(
        fc.property(tables, rowCounts, seeds, fc.boolean(), ([vocabulary, n], rows, seed, accumulate) => {
          const run: Case = (on) => {
            const index = on.indices(rows, 0, vocabulary);
            on.backend.embedding(on.input(vocabulary * n), index, on.output(rows * n), n);
            on.backend.embeddingBackward(index, on.input(rows * n), on.target(vocabulary * n, accumulate), n);
          };
          expectAgreement(run, dtype, seed, { units: 2 + rows, scale: 2 });
        }),
        runs,
      );
    });

    it.each([false, true])(
      'the gradient of an embedding of thousands of positions in few rows, added: %s',
      (adds) => {
        const [rows, n] = [6000, 3];
        const run: Case = (on) => {
          const index = on.indices(rows, 0, 2);
          on.backend.embeddingBackward(index, on.input(rows * n), on.target(40 * n, adds), n);
        };
        expectAgreement(run, dtype, 7, { units: 2 + rows, scale: 2 });
      },
    );

    it.each([
      [300, 5],
      [70_000, 1],
    ])(
      "the gradient of an embedding, every other position of one row and the rest by Zipf's law, %d rows of %d",
      (rows, n) => {
        const positions = 2500;
        const run: Case = (on) => {
          const index = on.indices(positions, 0, rows, (u) => (u < 0.5 ? 0.6 : rows ** (2 * u - 2)));
          on.backend.embeddingBackward(index, on.input(positions * n), on.target(rows * n, true), n);
        };
        expectAgreement(run, dtype, 3, { units: 2 + positions, scale: 2 });
      },
    );

    it('running sums, from the start and from the end', () => {
      const flags = fc.tuple(fc.boolean(), fc.boolean());
      fc.assert(
        fc.property(
          rowCounts,
          rowSizes,
          fc.constantFrom(1, 2, 7, 64, 65),
          seeds,
          flags,
          (outer, n, inner, seed, [reverse, accumulate]) => {
            const run: Case = (on) => {
              const length = outer * n * inner;
              on.backend.cumsum(on.input(length), on.target(length, accumulate), outer, n, inner, reverse);
            };
            // A warp adds in another order than one after the other; sums of n random terms are of the size √n.
            expectAgreement(run, dtype, seed, {
              units: 2 + n / 8,
              scale: 2 * Math.max(1, Math.sqrt(n)),
            });
          },
        ),
        { numRuns: 15 },
      );
    });

    it('the norm of gradients, scaling to it, AdamW', () => {
      const lengths = fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 0, max: 70 }) },
        { weight: 1, arbitrary: fc.constantFrom(32768, 33001) },
      );
      const settings = fc.record({
        step: fc.constantFrom(1, 2, 1000),
        weightDecay: fc.constantFrom(0, 0.1),
        maxNorm: fc.constantFrom(0.01, 1, 1e6),
        clips: fc.boolean(),
      });
      fc.assert(
        fc.property(lengths, seeds, settings, (n, seed, { step, weightDecay, maxNorm, clips }) => {
          const squares: Case = (on) => {
            const total = totalOf(on, 0.25);
            const norm = on.backend.allocate('f64', 1);
            on.backend.norm([on.input(n), on.input(3)], total, norm);
            on.backend.cast(norm, { storage: on.output(1), accumulate: false });
          };
          // The roundings of n additions, each way up or down.
          expectAgreement(squares, dtype, seed, { units: 8 + Math.sqrt(n) });
          const run: Case = (on) => {
            const gradient = on.changed(n);
            const total = totalOf(on, 0.25);
            on.backend.norm([gradient], total, totalOf(on, 0));
            if (!clips) on.backend.scaleToNorm([gradient], total, maxNorm);
            const clip = clips ? { total, maxNorm } : null;
            const spec = { lr: 1e-2, beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay, step, clip };
            const [m, v] = [on.changed(n), on.changed(n, (u) => u + 0.01)];
            on.backend.adamW(spec, [{ parameter: on.changed(n), gradient, m, v }]);
          };
          expectAgreement(run, dtype, seed, { units: 8, scale: 2 });
        }),
        runs,
      );
    });
  });

  it.each(dtypes)('clipping and AdamW of many tensors at once, of any size: %s', (dtype) => {
    const lengths = Array.from({ length: 150 }, (_, i) => [0, 1, 7, 16_383, 16_384, 16_389, 64][i % 7]!);
    const run: Case = (on) => {
      const total = totalOf(on, 0);
      const all = lengths.slice(0, dtype === 'f32' ? 150 : 9).map((n) => ({
        parameter: on.changed(n),
        gradient: on.changed(n),
        m: on.changed(n),
        v: on.changed(n, (u) => u + 0.01),
      }));
      const gradients = all.map(({ gradient }) => gradient);
      on.backend.norm(gradients, total, totalOf(on, 0));
      on.backend.scaleToNorm(gradients, total, 1000);
      const spec = { lr: 1e-2, beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.1, step: 3 };
      on.backend.adamW({ ...spec, clip: { total, maxNorm: 500 } }, all);
    };
    expectAgreement(run, dtype, 4, { units: 8, scale: 2 });
  });
});

describe.each(variants)('$variant:', ({ backend }) => {
  it.each(dtypes)('the bits do not depend on the number of threads: %s', (dtype) => {
    const [rows, n] = [200, 300];
    const length = rows * n;
    const run: Case = (on) => {
      const k = on.backend;
      const input = (): Storage => on.input(length);
      k.softmax(input(), on.output(length), n, false);
      k.softmaxBackward(input(), input(), on.target(length, true), n, true);
      k.layerNorm(input(), on.input(n), null, on.output(length), on.output(2 * rows), n, 1e-5);
      const targets = [on.target(length, false), on.target(n, false), on.target(n, true)] as const;
      k.layerNormBackward(input(), on.input(n), on.input(2 * rows), input(), ...targets, n);
      k.embeddingBackward(on.indices(rows, 0, 20), input(), on.target(20 * n, true), n);
      k.cumsum(input(), on.target(length, false), 4, rows / 4, n, false);
      const total = totalOf(on, 0);
      const gradient = on.changed(length);
      k.norm([gradient], total, totalOf(on, 0));
      k.scaleToNorm([gradient], total, 1);
    };
    const results = [1, 2, 3].map((threads) => {
      setNumThreads(threads);
      return resultsOf(run, backend, dtype, 5);
    });
    setNumThreads(2);
    for (const other of results.slice(1))
      other.forEach((array, i) => {
        expect(Buffer.from(array.buffer).equals(Buffer.from(results[0]![i]!.buffer))).toBe(true);
      });
  });
});
