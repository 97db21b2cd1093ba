/** Elementwise kernels, with broadcasting, and copies, of every variant against `reference`. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { StridedWalk } from '../src/backend.js';
import { backendOf } from '../src/devices.js';
import { BINARY_KINDS, UNARY_KINDS, type UnaryKind } from '../src/elementwise.js';
import { setNumThreads } from '../src/index.js';
import { broadcastStrides, sizeOf, stridesOf } from '../src/shape.js';
import { allVariants, expectAgreement, resultsOf, variants, type Case } from './kernel-cases.js';

const dtypes = ['f32', 'f64'] as const;
const seeds = fc.nat();
const runs = { numRuns: 40 };
/** Empty, on both sides of a vector, and more than one piece for a thread. */
const lengths = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 70 }) },
  { weight: 2, arbitrary: fc.constantFrom(255, 1023) },
  { weight: 1, arbitrary: fc.constantFrom(32768, 40001) },
);
const size = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 2, arbitrary: fc.constantFrom(8, 16, 17, 33, 64, 65) },
  { weight: 1, arbitrary: fc.constantFrom(0, 300) },
);
/** Of dimensions without elements an operand may have 1. */
const shapes = fc
  .array(size, { minLength: 0, maxLength: 5 })
  .filter((shape) => sizeOf(shape.map((n) => Math.max(n, 1))) <= 50_000);
/** A shape, and two that broadcast to it. */
const broadcasts = shapes.chain((shape) => {
  const flags = fc.array(fc.constantFrom('both', 'a', 'b'), {
    minLength: shape.length,
    maxLength: shape.length,
  });
  return flags.map((who) => ({
    shape,
    a: shape.map((n, d) => (who[d] === 'b' ? 1 : n)),
    b: shape.map((n, d) => (who[d] === 'a' ? 1 : n)),
  }));
});

interface Unary {
  readonly kind: UnaryKind;
  readonly p: number;
  readonly q: number;
  readonly draw: ((u: number) => number) | undefined;
}
const of = (kind: UnaryKind, draw?: (u: number) => number, p = 0, q = 0): Unary => ({ kind, p, q, draw });
const drawn: readonly Unary[] = [
  of('abs'),
  of('exp'),
  of('exp', (u) => 185 * u - 105),
  of('log', (u) => u + 1e-3),
  of('log', (u) => Math.exp(170 * u - 85)),
  of('sqrt', (u) => u + 0.1),
  of('square'),
  of('tanh', (u) => 20 * u - 10),
  of('tanh'),
  of('sigmoid', (u) => 200 * u - 100),
  of('softplus', (u) => 40 * u - 20),
  of('gelu', (u) => 12 * u - 6),
  of('geluTanh', (u) => 12 * u - 6),
  of('affine', undefined, -2.5, 0.75),
  of('clamp', undefined, -1, 0.5),
  of('clamp', undefined, -Infinity, 1),
  of('huber', undefined, 0.75),
];
/** Each operation that is declared is among them. */
const unaries: readonly Unary[] = [
  ...drawn,
  ...UNARY_KINDS.filter((kind) => !drawn.some((other) => other.kind === kind)).map((kind) => of(kind)),
];
const binaries = BINARY_KINDS;
const special = [NaN, Infinity, -Infinity, 0, -0, 1e30, -1e30, 1e-42, 87, -104, 1, -1];

const walkOf = (shape: readonly number[], a: readonly number[], b: readonly number[]): StridedWalk => ({
  shape,
  strides: [broadcastStrides(a, shape), broadcastStrides(b, shape)],
});

describe.each(dtypes)(`${allVariants} agree with reference: %s`, (dtype) => {
  it.each(unaries)('$kind($p, $q)', ({ kind, p, q, draw }) => {
    fc.assert(
      fc.property(lengths, seeds, fc.boolean(), (n, seed, accumulate) => {
        const forward: Case = (on) => {
          on.backend.unary(kind, on.input(n, draw), on.output(n), p, q);
        };
        const backward: Case = (on) => {
          const [x, y] = [on.input(n, draw), on.changed(n)];
          on.backend.unary(kind, x, y, p, q);
          on.backend.unaryBackward(kind, x, y, on.input(n), on.target(n, accumulate), p, q);
        };
        // The derivative at the border of a piece is that of either side.
        expectAgreement(forward, dtype, seed, {
          units: 4,
          scale: kind === 'exp' || kind === 'sigmoid' ? 0 : 1,
        });
        expectAgreement(backward, dtype, seed, { units: 8 });
      }),
      { numRuns: 12 },
    );
  });

  it.each(unaries)('$kind($p, $q) of numbers that are not finite, or at an edge', ({ kind, p, q }) => {
    const run: Case = (on) => {
      let i = 0;
      const x = on.input(special.length, () => special[i++]!);
      const y = on.output(special.length);
      on.backend.unary(kind, x, y, p, q);
      on.backend.unaryBackward(kind, x, y, on.input(special.length), on.target(special.length, false), p, q);
    };
    expectAgreement(run, dtype, 1, { units: 8 });
  });

  it.each(binaries)('%s with broadcasting', (kind) => {
    const draw =
      kind === 'div' || kind === 'pow'
        ? (u: number) => 0.5 + u
        : (u: number) => Math.round(8 * (u - 0.5)) / 4;
    fc.assert(
      fc.property(
        broadcasts,
        seeds,
        fc.boolean(),
        fc.boolean(),
        ({ shape, a, b }, seed, accumulateA, accumulateB) => {
          const n = sizeOf(shape);
          const walk = walkOf(shape, a, b);
          const forward: Case = (on) => {
            on.backend.binary(kind, walk, on.input(sizeOf(a), draw), on.input(sizeOf(b), draw), on.output(n));
          };
          const backward: Case = (on) => {
            const inputs = [on.input(sizeOf(a), draw), on.input(sizeOf(b), draw), on.input(n)] as const;
            const targets = [on.target(sizeOf(a), accumulateA), on.target(sizeOf(b), accumulateB)] as const;
            on.backend.binaryBackward(kind, walk, ...inputs, ...targets);
          };
          expectAgreement(forward, dtype, seed, { units: 2 });
          // As many roundings as there are terms, of sums of terms up to 10.
          const terms = n / Math.max(1, Math.min(sizeOf(a), sizeOf(b)));
          expectAgreement(backward, dtype, seed, { units: 8 + terms, scale: 10 });
        },
      ),
      runs,
    );
  });

  it.each([
    { shape: [300, 3, 8], a: [300, 3, 8], b: [3, 8] },
    { shape: [300, 3, 8], a: [300, 1, 8], b: [3, 1] },
    { shape: [700, 12], a: [700, 1], b: [12] },
    { shape: [2, 700, 4], a: [700, 4], b: [2, 1, 1] },
    { shape: [9000, 4], a: [1], b: [9000, 4] },
  ])('four at a time: $a and $b to $shape, and sums back', ({ shape, a, b }) => {
    const n = sizeOf(shape);
    const [full, ofA] = [stridesOf(shape), broadcastStrides(a, shape)];
    const run: Case = (on) => {
      for (const kind of ['sub', 'mul', 'maximum'] as const) {
        const walk = walkOf(shape, a, b);
        const inputs = [on.input(sizeOf(a)), on.input(sizeOf(b))] as const;
        on.backend.binary(kind, walk, ...inputs, on.output(n));
        const targets = [on.target(sizeOf(a), false), on.target(sizeOf(b), true)] as const;
        on.backend.binaryBackward(kind, walk, ...inputs, on.input(n), ...targets);
      }
      on.backend.copyStrided({ shape, strides: [full, ofA] }, on.input(n), 0, on.target(sizeOf(a), true), 0);
      on.backend.copyStrided({ shape, strides: [ofA, full] }, on.input(sizeOf(a)), 0, on.target(n, true), 0);
      // From and to an element that is no multiple of four.
      const rows = { shape: [shape[0]! - 1, 4], strides: [4, 4].map((row) => [row, 1]) };
      on.backend.copyStrided(rows, on.input(n), 1, on.target(n, false), 3);
    };
    expectAgreement(run, dtype, 2, { units: 8 + n, scale: 4 });
  });

  it.each(binaries)('%s of numbers that are not finite', (kind) => {
    const pairs = special.flatMap((a) => special.map((b) => [a, b] as const));
    const run: Case = (on) => {
      const side = (k: 0 | 1) => {
        let i = 0;
        return on.input(pairs.length, () => pairs[i++]![k]);
      };
      const [a, b] = [side(0), side(1)];
      const walk = walkOf([pairs.length], [pairs.length], [pairs.length]);
      on.backend.binary(kind, walk, a, b, on.output(pairs.length));
    };
    expectAgreement(run, dtype, 1, { units: 2 });
  });

  it('the gradient of x·x, where both shares go to one tensor', () => {
    const n = 33_000;
    const run: Case = (on) => {
      const [x, g, into] = [on.input(n), on.input(n), on.output(n)];
      const targets = [
        { storage: into, accumulate: false },
        { storage: into, accumulate: true },
      ] as const;
      on.backend.binaryBackward('mul', walkOf([n], [n], [n]), x, x, g, ...targets);
    };
    expectAgreement(run, dtype, 3, { units: 4 });
  });

  it('sums over any dimensions, and repeats along them', () => {
    const flagged = shapes.chain((shape) =>
      fc
        .array(fc.boolean(), { minLength: shape.length, maxLength: shape.length })
        .map((over) => ({ shape, over })),
    );
    fc.assert(
      fc.property(flagged, seeds, fc.boolean(), ({ shape, over }, seed, accumulate) => {
        const kept = shape.map((n, d) => (over[d] ? 1 : n));
        const [full, reduced] = [stridesOf(shape), stridesOf(kept).map((s, d) => (over[d] ? 0 : s))];
        const sum: Case = (on) => {
          const walk = { shape, strides: [full, reduced] };
          on.backend.copyStrided(walk, on.input(sizeOf(shape)), 0, on.target(sizeOf(kept), accumulate), 0);
        };
        const repeat: Case = (on) => {
          const walk = { shape, strides: [reduced, full] };
          on.backend.copyStrided(walk, on.input(sizeOf(kept)), 0, on.target(sizeOf(shape), accumulate), 0);
        };
        const terms = sizeOf(shape) / Math.max(1, sizeOf(kept));
        // Of no elements, elements of y that the walk does not meet keep their values.
        if (sizeOf(shape) > 0) expectAgreement(sum, dtype, seed, { units: 4 + terms, scale: 2 });
        expectAgreement(repeat, dtype, seed, { units: 2 });
      }),
      runs,
    );
  });

  it('slices and transposes, from and to', () => {
    const cuts = shapes.chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        before: fc.array(fc.nat(3), { minLength: shape.length, maxLength: shape.length }),
        after: fc.array(fc.nat(3), { minLength: shape.length, maxLength: shape.length }),
        order: fc.shuffledSubarray([...shape.keys()], { minLength: shape.length, maxLength: shape.length }),
      }),
    );
    fc.assert(
      fc.property(
        cuts,
        seeds,
        fc.boolean(),
        fc.boolean(),
        ({ shape, before, after, order }, seed, accumulate, back) => {
          const whole = shape.map((n, d) => n + before[d]! + after[d]!);
          const inWhole = stridesOf(whole);
          const offset = before.reduce((at, b, d) => at + b * inWhole[d]!, 0);
          const permuted = order.map((d) => shape[d]!);
          const strides = [order.map((d) => inWhole[d]!), stridesOf(permuted)];
          const run: Case = (on) => {
            if (back) {
              const walk = { shape: permuted, strides: [strides[1]!, strides[0]!] };
              on.backend.copyStrided(
                walk,
                on.input(sizeOf(shape)),
                0,
                on.target(sizeOf(whole), accumulate),
                offset,
              );
            } else {
              const walk = { shape: permuted, strides };
              on.backend.copyStrided(
                walk,
                on.input(sizeOf(whole)),
                offset,
                on.target(sizeOf(shape), accumulate),
                0,
              );
            }
          };
          if (sizeOf(whole) <= 50_000) expectAgreement(run, dtype, seed, { units: 2 });
        },
      ),
      runs,
    );
  });

  it('fill, cast to the same dtype', () => {
    fc.assert(
      fc.property(lengths, seeds, fc.boolean(), (n, seed, accumulate) => {
        const run: Case = (on) => {
          on.backend.fill(on.output(n), 0.1);
          on.backend.cast(on.input(n), on.target(n, accumulate));
        };
        expectAgreement(run, dtype, seed, { units: 1 });
      }),
      { numRuns: 12 },
    );
  });

  it('dropout: the very same mask', () => {
    fc.assert(
      fc.property(
        lengths,
        seeds,
        fc.boolean(),
        // Below 2^-33 nothing is dropped, and what stays is scaled.
        fc.oneof(fc.double({ min: 0, max: 0.99, noNaN: true }), fc.constantFrom(0, 1e-15, 2 ** -34)),
        (n, seed, accumulate, p) => {
          const run: Case = (on) => {
            on.backend.dropout(on.input(n), on.target(n, accumulate), p, [seed, 2 ** 32 - 1 - seed]);
          };
          // A factor of up to 100; where it adds, the sum may be near 0.
          expectAgreement(run, dtype, seed, { units: 2, scale: accumulate ? 200 : 0 });
        },
      ),
      { numRuns: 12 },
    );
  });
});

describe.each(variants)('$variant agrees with reference:', ({ backend }) => {
  it.each([
    ['f32', 'f64'],
    ['f64', 'f32'],
    ['i32', 'f32'],
    ['i32', 'f64'],
    ['f64', 'i32'],
    ['i32', 'i32'],
  ] as const)('cast from %s to %s', (from, to) => {
    for (const accumulate of [false, true]) {
      const [actual, expected] = [backend, backendOf('reference')].map((on) => {
        const [x, y] = [on.allocate(from, 1000), on.allocate(to, 1000)];
        on.write(
          x,
          Float64Array.from({ length: 1000 }, (_, i) => (i - 500) * 1.1),
        );
        on.fill(y, 3);
        on.cast(x, { storage: y, accumulate });
        return on.readSync(y);
      });
      expect(actual).toEqual(expected);
    }
  });

  it('slices of whole numbers', () => {
    const [actual, expected] = [backend, backendOf('reference')].map((on) => {
      const [x, y] = [on.allocate('i32', 1000), on.allocate('i32', 300)];
      on.write(
        x,
        Int32Array.from({ length: 1000 }, (_, i) => Math.imul(i, 0x9e3779b1)),
      );
      on.copyStrided({ shape: [100, 3], strides: [[10, 2], [3, 1]] }, x, 4, { storage: y, accumulate: false }, 0); // prettier-ignore
      return on.readSync(y);
    });
    expect(actual).toEqual(expected);
  });

  it.each(dtypes)('the bits do not depend on the number of threads: %s', (dtype) => {
    const [T, S, R] = [150, 40, 9];
    const n = T * S * R;
    const run: Case = (on) => {
      const k = on.backend;
      k.unary('exp', on.input(n), on.output(n), 0, 0);
      k.unaryBackward('gelu', on.input(n), on.input(n), on.input(n), on.target(n, true), 0, 0);
      k.dropout(on.input(n), on.target(n, false), 0.3, [1, 2]);
      for (const [a, b] of [
        [
          [T, S, 1],
          [S, R],
        ],
        [
          [1, 1, R],
          [T, S, R],
        ],
        [
          [T, 1, R],
          [1, S, 1],
        ],
        [[T, S, R], []],
      ] as const) {
        const walk = walkOf([T, S, R], a, b);
        k.binary('mul', walk, on.input(sizeOf(a)), on.input(sizeOf(b)), on.output(n));
        const inputs = [on.input(sizeOf(a)), on.input(sizeOf(b)), on.input(n)] as const;
        k.binaryBackward('mul', walk, ...inputs, on.target(sizeOf(a), true), on.target(sizeOf(b), false));
      }
      for (const kept of [
        [1, 1, 1],
        [T, 1, 1],
        [1, S, 1],
        [1, 1, R],
        [1, S, R],
        [T, 1, R],
      ]) {
        // prettier-ignore
        const reduced = stridesOf(kept).map((s, d) => (kept[d] === 1 ? 0 : s));
        const walk = { shape: [T, S, R], strides: [stridesOf([T, S, R]), reduced] };
        k.copyStrided(walk, on.input(n), 0, on.target(sizeOf(kept), false), 0);
      }
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
