import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { TrainError } from '../error.js';
import { unreadable } from '../files/utf8.js';

const BYTES_EACH = 2;
/** Bytes per read when hashing the whole file. */
const CHUNK = 2 ** 22;

/**
 * A file of token ids as nanoGPT's prepare.py writes it: uint16 little-endian and nothing else. It is read in pieces, never as
 * a whole: Node cannot map files into memory, but the system's page cache serves repeated reads.
 */
export class TokenFile {
  readonly path: string;
  /** Number of tokens. */
  readonly length: number;
  readonly #vocabSize: number;
  readonly #file: number;

  /**
   * @param vocabSize All ids must be below it.
   * @throws {TrainError} `io` if the file cannot be opened, `bad-input` if it is empty or has an odd number of bytes
   */
  constructor(path: string, vocabSize: number) {
    this.path = path;
    this.#vocabSize = vocabSize;
    // Without O_NONBLOCK, opening a FIFO blocks until another process opens it for writing.
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
    this.#file = system(path, () => openSync(path, flags));
    const stats = system(path, () => fstatSync(this.#file));
    this.length = stats.size / BYTES_EACH;
    const problem = !stats.isFile()
      ? 'is not a file'
      : stats.size === 0
        ? 'is empty'
        : Number.isInteger(this.length)
          ? null
          : `has ${stats.size} bytes, an odd number`;
    if (problem === null) return;
    this.close();
    throw new TrainError('bad-input', `${path} ${problem}; expected token ids of 2 bytes each`);
  }

  /**
   * Reads the ids of tokens offset … offset + count − 1.
   *
   * @throws {TrainError} `bad-input` if the file does not have these tokens, or an id is not in the vocabulary; `io` if it
   * cannot be read
   */
  read(offset: number, count: number): Uint16Array {
    if (offset < 0 || offset + count > this.length) {
      throw new TrainError(
        'bad-input',
        `${this.path} has ${this.length} tokens; cannot read ${count} tokens from token ${offset} on`,
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
        throw new TrainError('io', `${this.path} ends at byte ${at}: it was truncated while it was open`);
      done += read;
    }
  }

  /** The SHA-256 of the whole file, in hexadecimal; takes about 2 ms per megabyte. @throws {TrainError} `io` if it cannot be read */
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

  /** Closes the file; `read` throws afterwards. */
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
