import { expect } from '@jest/globals';
import type { Backend, DType, HostArray, Storage, Target } from '../src/backend.js';
import { createCpu } from '../src/backends/cpu/index.js';
import { loadLibrary } from '../src/backends/cpu/library.js';
import { backendOf } from '../src/devices.js';
import { ExecutorError } from '../src/index.js';
import { cpuIsMissing, cudaIsMissing, wasmIsMissing } from './devices.js';

interface Variant {
  readonly variant: string;
  readonly backend: Backend;
}

function nativeVariants(): Variant[] {
  if (cpuIsMissing !== null) return [];
  return ['avx512', 'avx2', 'baseline'].flatMap((variant) => {
    const only = process.env['DAG_CPU_VARIANT'];
    if (only && only !== variant) return [];
    try {
      return [{ variant, backend: createCpu(loadLibrary(variant)) }];
    } catch (error) {
      // One that this processor does not run is an error `value`, which only a user who asked for it is to see.
      const isMissing = error instanceof ExecutorError && (error.code === 'device' || !only);
      if (isMissing) return [];
      throw error;
    }
  });
}

const native: readonly Variant[] = [
  ...nativeVariants(),
  ...(wasmIsMissing === null ? [{ variant: 'wasm', backend: backendOf('wasm') }] : []),
  ...(cudaIsMissing === null ? [{ variant: 'cuda', backend: backendOf('cuda') }] : []),
];
/**
 * Variants of the native kernels that this processor runs, of which `DAG_CPU_VARIANT` leaves one, and CUDA's; without any,
 * `reference`.
 */
export const variants: readonly Variant[] =
  native.length > 0 ? native : [{ variant: 'reference', backend: backendOf('reference') }];

/** Memory of a backend, with contents that depend on the seed alone. */
export class Bench {
  readonly backend: Backend;
  private readonly dtype: DType;
  private readonly f32: boolean;
  private state: number;
  private readonly outputs: Storage[] = [];

  /** `rounded`: numbers are those of f32, also in f64, so that both compute from the same. */
  constructor(backend: Backend, dtype: 'f32' | 'f64', seed: number, rounded: boolean) {
    this.backend = backend;
    this.dtype = dtype;
    this.f32 = rounded;
    this.state = (seed % 0x7ffffffe) + 1;
  }

  /** Uniform in [0, 1): Lehmer's generator (1951). */
  random(): number {
    this.state = (this.state * 48271) % 0x7fffffff;
    return this.state / 0x7fffffff;
  }

  /** Numbers from −2 to 2, or what `draw` makes of a uniform one. */
  input(length: number, draw = (u: number): number => 4 * u - 2): Storage {
    const values = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      const value = draw(this.random());
      values[i] = this.f32 ? Math.fround(value) : value;
    }
    return this.storage(values);
  }

  /** Input that the kernel changes, so that it is also a result. */
  changed(length: number, draw?: (u: number) => number): Storage {
    const storage = this.input(length, draw);
    this.outputs.push(storage);
    return storage;
  }

  output(length: number): Storage {
    return this.changed(length);
  }

  target(length: number, accumulate: boolean): Target {
    return { storage: this.output(length), accumulate };
  }

  /** Whole numbers in from … below − 1, by `draw` of a uniform number in [0, 1) one in the same. */
  indices(length: number, from: number, below: number, draw = (u: number): number => u): Storage {
    const storage = this.backend.allocate('i32', length);
    const values = { length };
    this.backend.write(
      storage,
      Array.from(values, () => from + Math.floor(draw(this.random()) * (below - from))),
    );
    return storage;
  }

  private storage(values: ArrayLike<number>): Storage {
    const storage = this.backend.allocate(this.dtype, values.length);
    this.backend.write(storage, values);
    return storage;
  }

  results(): HostArray[] {
    return this.outputs.map((storage) => this.backend.readSync(storage));
  }
}

export type Case = (bench: Bench) => void;

export function resultsOf(run: Case, backend: Backend, dtype: 'f32' | 'f64', seed: number): HostArray[] {
  const bench = new Bench(backend, dtype, seed, dtype === 'f32');
  run(bench);
  return bench.results();
}

/** Of all variants, for the name of a test. */
export const allVariants = variants.map(({ variant }) => variant).join(', ');

/**
 * Compares each variant with `reference` computing in f64 from the same numbers. `units` units in the last place of `scale`,
 * the size of the largest term, or of the result where that is larger.
 */
export function expectAgreement(
  run: Case,
  dtype: 'f32' | 'f64',
  seed: number,
  { units, scale = 1 }: { units: number; scale?: number },
): void {
  const unit = dtype === 'f32' ? 2 ** -23 : 2 ** -52;
  /** Smaller numbers have fewer digits. */
  const smallest = dtype === 'f32' ? 2 ** -126 : 2 ** -1022;
  const bench = new Bench(backendOf('reference'), 'f64', seed, dtype === 'f32');
  run(bench);
  const results = bench.results();
  for (const { variant, backend } of variants) {
    const actual = resultsOf(run, backend, dtype, seed);
    results.forEach((expected, k) => {
      const of = actual[k]!;
      expect(of.length).toBe(expected.length);
      for (let i = 0; i < expected.length; i++) {
        const e = dtype === 'f32' ? Math.fround(expected[i]!) : expected[i]!;
        const a = of[i]!;
        if (Object.is(a, e) || a === e) continue;
        const allowed = units * unit * Math.max(scale, smallest, Math.abs(e));
        if (!(Math.abs(a - e) <= allowed))
          throw new Error(`${variant}: result ${k}, element ${i}: ${a}, expected ${e}, allowed ±${allowed}`);
      }
    });
  }
}
