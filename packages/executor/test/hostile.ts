import { HostStorage, hostArray } from '../src/backends/host.js';
import { backendOf } from '../src/devices.js';
import { Tensor, type Device, type DType } from '../src/index.js';

/** Bytes of memory around each array that nothing may write to, and what they hold. */
const ZONE = 64;
const UNTOUCHED = 0xa5;
/** Arrays of one device that are looked at after each call; those made first are left out. */
const MOST_WATCHED = 256;

/**
 * Has a device that works in the memory of JavaScript take it with zones around each array; → a check that all of them are
 * untouched, and a function that ends this. Memory of other devices is left to the sanitizers.
 */
export function guardMemory(device: Device): { readonly check: () => void; readonly end: () => void } {
  const backend = backendOf(device);
  const zones: Uint8Array[] = [];
  const { allocate } = backend;
  if (!(allocate.call(backend, 'f32', 1) instanceof HostStorage))
    return { check: () => undefined, end: () => undefined };
  backend.allocate = (dtype, length) => {
    // Memory that there is not room for is refused by the device itself.
    const bytes = length * (dtype === 'f64' ? 8 : 4);
    if (!(bytes < 2 ** 24)) return allocate.call(backend, dtype, length);
    const buffer = new ArrayBuffer(bytes + 2 * ZONE);
    zones.push(new Uint8Array(buffer, 0, ZONE).fill(UNTOUCHED));
    zones.push(new Uint8Array(buffer, ZONE + bytes, ZONE).fill(UNTOUCHED));
    if (zones.length > 2 * MOST_WATCHED) zones.splice(0, 2);
    return new HostStorage(dtype, hostArray(dtype, length, buffer, ZONE));
  };
  return {
    check: () => {
      for (const zone of zones)
        if (!zone.every((byte) => byte === UNTOUCHED)) throw new Error('a write outside an array');
    },
    end: () => {
      backend.allocate = allocate;
    },
  };
}

/** Arguments that a caller from JavaScript may give, wrong ones among them, as a function of a seed. */
export class Hostile {
  readonly device: Device;
  readonly #others: readonly Device[];
  /** Tensors that were made so far, in whatever state. */
  readonly #tensors: Tensor[] = [];
  #state: number;

  constructor(device: Device, others: readonly Device[], seed: number) {
    this.device = device;
    this.#others = others;
    this.#state = seed >>> 0;
  }

  /** In [0, 1): mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(p: number): boolean {
    return this.random() < p;
  }

  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** `right`, or now and then something else. The types are those of the right one, as a caller from JavaScript has none. */
  or<T>(right: () => T, p = 0.06): T {
    return (this.chance(p) ? this.junk() : right()) as T;
  }

  junk(): unknown {
    return this.pick<() => unknown>([
      () => null,
      () => undefined,
      () => 'text',
      () => '1',
      () => true,
      () => 7n,
      () => Symbol('junk'),
      () => ({}),
      () => Object.create(null) as unknown,
      () => [],
      () => [null],
      () => [1, 'a'],
      () => [[1], [1, 2]],
      () => [1, [2]],
      () => ({ length: 3 }),
      () => ({ shape: [1], dtype: 'f32', size: 1, storage: null, buffer: {} }),
      () => new Date(0),
      () => new Map(),
      () => () => 1,
      () => BigInt64Array.of(1n, 2n),
      () => new DataView(new ArrayBuffer(8)),
      () => new Uint8Array(3),
      () => detached(),
      () => new Float32Array(new SharedArrayBuffer(12)),
      () => this.number(),
      () => this.tensor(),
    ])();
  }

  number(): number {
    return this.or(() =>
      this.pick([
        0,
        1,
        -1,
        2,
        0.5,
        -0,
        3,
        1e-300,
        1e300,
        -1e300,
        NaN,
        Infinity,
        -Infinity,
        2 ** 31,
        2 ** 53,
        0.1,
      ]),
    );
  }

  dimension(): number {
    return this.or(() => this.pick([0, 0, 1, 1, -1, -1, 2, -2, 3, 9, 1.5, NaN, 2 ** 40]));
  }

  count(): number {
    return this.or(() => this.pick([0, 1, 1, 2, 2, 3, 4, 5, -1, 0.5, 2 ** 45, NaN]));
  }

  shape(): number[] {
    return this.or(() => {
      const shape = Array.from({ length: this.below(4) }, () => this.pick([0, 1, 1, 2, 2, 3, 4, 5, 17]));
      if (this.chance(0.05)) shape.push(this.pick([-1, 1.5, NaN, 2 ** 45, 2 ** 60, Infinity]));
      return shape;
    });
  }

  dtype(): DType {
    return this.or(() => this.pick<DType>(['f32', 'f32', 'f64', 'f64', 'i32', 'bf16']));
  }

  options(): { dtype: DType; device: Device; requiresGrad: boolean } {
    return this.or(() => ({
      dtype: this.dtype(),
      device: this.or(() => (this.chance(0.02) ? this.pick(this.#others) : this.device), 0.02),
      requiresGrad: this.or(() => this.chance(0.5)),
    }));
  }

  values(length = this.below(8)): number[] {
    return this.or(() =>
      Array.from({ length }, () => this.or(() => this.pick([0, 1, 2, -1, 0.5, 1e30, 3]), 0.01)),
    );
  }

  seed(): readonly [number | Tensor, number] {
    return this.or(() => [this.chance(0.3) ? this.tensor() : this.number(), this.number()] as const);
  }

  /** One of those there are. */
  tensor(): Tensor {
    // One of another copy of the package has another class of the same name; one without its private fields is none.
    if (this.chance(0.003))
      return Object.create(this.chance(0.5) ? Tensor.prototype : { constructor: Tensor }) as Tensor;
    return this.or(() => (this.#tensors.length > 0 ? this.pick(this.#tensors) : this.fresh()), 0.02);
  }

  /** A tensor whose use is no error but for its shape. */
  fresh(
    shape: readonly number[] = this.pick([[], [1], [2], [3], [2, 3], [3, 2], [2, 2, 3], [0], [2, 0]]),
  ): Tensor {
    const size = shape.reduce((a, n) => a * n, 1);
    const dtype = this.pick<DType>([
      ...(['f32', 'f32', 'f64', 'f64', 'i32'] as const),
      ...(this.device === 'cuda' ? (['bf16'] as const) : []),
    ]);
    const numbers = Array.from(
      { length: size },
      () => this.below(4) - (dtype === 'i32' && this.chance(0.3) ? 1 : 0),
    );
    const t = this.make(numbers, shape, dtype);
    if (dtype !== 'i32') t.requiresGrad = this.chance(0.6);
    this.keep(t);
    return t;
  }

  make: (values: number[], shape: readonly number[], dtype: DType) => Tensor = () => {
    throw new Error('no maker is set');
  };

  /** Lets later calls use what a call gave. */
  keep(result: unknown): void {
    if (!Tensor.is(result) || result.size > 256 || this.#tensors.includes(result)) return;
    if (this.#tensors.length < 24) this.#tensors.push(result);
    else this.#tensors[this.below(24)] = result;
  }
}

function detached(): Float32Array {
  const array = new Float32Array(3);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}
