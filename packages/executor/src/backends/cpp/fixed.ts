import type { Storage } from '../../backend.js';
import { dataOf } from '../host.js';

/**
 * Numbers at an address that stays, through which the arrays of a small call go to a kernel and come back. It takes less time
 * to copy a few dozen numbers than to hand over an array of JavaScript, which V8 may have to move out of its heap for that.
 */
export class Fixed {
  readonly #numbers: Float64Array;
  readonly #address: number;
  /** Where the next array goes. */
  #end = 0;
  /** Where the next array of results lies, behind all inputs. */
  #next = 0;

  constructor(numbers: Float64Array, address: number) {
    this.#numbers = numbers;
    this.#address = address;
  }

  holds(count: number): boolean {
    return count <= this.#numbers.length;
  }

  /** Begins a call: its arrays come from the first place on. */
  begin(): void {
    this.#end = 0;
    this.#next = 0;
  }

  /** The address of a copy of an array; 0 of none. */
  put(storage: Storage | null): number {
    if (!storage) return 0;
    const data = dataOf(storage);
    this.#numbers.set(data, this.#end);
    this.#next += data.length;
    return this.#place(data.length);
  }

  /** An address for an array of results, after all inputs; 0 for none. `take` brings them home in the same order. */
  reserve(storage: Storage | null): number {
    return storage ? this.#place(storage.length) : 0;
  }

  take(storage: Storage | null): void {
    if (!storage) return;
    const data = dataOf(storage);
    const begin = this.#next;
    for (let i = 0; i < data.length; i++) data[i] = this.#numbers[begin + i]!;
    this.#next += data.length;
  }

  #place(count: number): number {
    const address = this.#address + this.#end * Float64Array.BYTES_PER_ELEMENT;
    this.#end += count;
    return address;
  }
}
