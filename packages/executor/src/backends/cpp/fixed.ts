import type { Storage } from '../../backend.js';
import { dataOf } from '../host.js';

/**
 * Memory at a fixed address, through which the arrays of a small call are copied to a kernel and back. Copying a few dozen numbers takes
 * less time than passing an array of JavaScript, which V8 may first have to move out of its heap.
 */
export class Fixed {
  readonly #numbers: Float64Array;
  readonly #address: number;
  /** The place of the next input. */
  #end = 0;
  /** The place of the next result, after all inputs. */
  #next = 0;

  constructor(numbers: Float64Array, address: number) {
    this.#numbers = numbers;
    this.#address = address;
  }

  holds(count: number): boolean {
    return count <= this.#numbers.length;
  }

  /** Begins a call: its arrays start at the first place again. */
  begin(): void {
    this.#end = 0;
    this.#next = 0;
  }

  /** Copies an input; → its address, 0 for null. */
  put(storage: Storage | null): number {
    if (!storage) return 0;
    const data = dataOf(storage);
    this.#numbers.set(data, this.#end);
    this.#next += data.length;
    return this.#place(data.length);
  }

  /** The address for a result, after all inputs; 0 for null. `take` copies the results back in the same order. */
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
