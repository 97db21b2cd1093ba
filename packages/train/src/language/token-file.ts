import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { TrainError } from '../error.js';
import { unreadable } from '../files/utf8.js';

const BYTES_EACH = 2;
/** Bytes that are read at once where the whole file is. */
const CHUNK = 2 ** 22;

/**
 * A file of token ids, uint16 little-endian and nothing else, as nanoGPT's prepare.py writes them. It is read in pieces,
 * never whole: Node cannot map files into memory, and the system keeps in memory what is read often all the same.
 */
export class TokenFile {
  readonly path: string;
  /** In tokens. */
  readonly length: number;
  readonly #vocabSize: number;
  readonly #file: number;

  /**
   * @param vocabSize Ids are below it.
   * @throws {TrainError} `io` where the file cannot be opened, `bad-input` where it is empty or no whole number of ids
   */
  constructor(path: string, vocabSize: number) {
    this.path = path;
    this.#vocabSize = vocabSize;
    // To open a FIFO would otherwise wait until someone writes to it.
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
    this.#file = system(path, () => openSync(path, flags));
    const stats = system(path, () => fstatSync(this.#file));
    this.length = stats.size / BYTES_EACH;
    const problem = !stats.isFile()
      ? 'is no file'
      : stats.size === 0
        ? 'is empty'
        : Number.isInteger(this.length)
          ? null
          : `has ${stats.size} bytes, an odd number`;
    if (problem === null) return;
    this.close();
    throw new TrainError('bad-input', `${path} ${problem}; token ids of 2 bytes each are expected`);
  }

  /**
   * The ids of tokens offset … offset + count − 1.
   *
   * @throws {TrainError} `bad-input` where the file has no such tokens, or one of them is not in the vocabulary; `io`
   * where it cannot be read
   */
  read(offset: number, count: number): Uint16Array {
    if (offset < 0 || offset + count > this.length) {
      throw new TrainError(
        'bad-input',
        `${this.path} has ${this.length} tokens; ${count} from token ${offset} on were asked for`,
      );
    }
    const ids = new Uint16Array(count);
    this.#readBytes(new Uint8Array(ids.buffer), offset * BYTES_EACH);
    const wrong = ids.findIndex((id) => id >= this.#vocabSize);
    if (wrong < 0) return ids;
    throw new TrainError(
      'bad-input',
      `${this.path} has the id ${ids[wrong]} at token ${offset + wrong}; ids of this tokenizer are below ${this.#vocabSize}`,
    );
  }

  #readBytes(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      const at = position + done;
      const read = system(this.path, () => readSync(this.#file, bytes, done, bytes.length - done, at));
      if (read === 0)
        throw new TrainError('io', `${this.path} ends at byte ${at}: it was cut short while it was open`);
      done += read;
    }
  }

  /** The SHA-256 of the whole file, in hexadecimal; some 2 ms a megabyte. @throws {TrainError} `io` where it cannot be read */
  sha256(): string {
    const hash = createHash('sha256');
    const size = this.length * BYTES_EACH;
    for (let at = 0; at < size; at += CHUNK) {
      const bytes = new Uint8Array(Math.min(CHUNK, size - at));
      this.#readBytes(bytes, at);
      hash.update(bytes);
    }
    return hash.digest('hex');
  }

  /** Closes the file; `read` throws from then on. */
  close(): void {
    closeSync(this.#file);
  }
}

function system<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw unreadable(path, error);
  }
}
