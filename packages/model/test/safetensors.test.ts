import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModelError } from '../src/error.js';
import {
  decodeSafetensors,
  encodeSafetensors,
  safetensorsPieces,
  loadSafetensors,
  saveSafetensors,
  toFloat16,
  toFloat32,
  type SafeTensor,
} from '../src/index.js';

const FIXTURE = fileURLToPath(new URL('fixtures/interop.safetensors', import.meta.url));

const SOME: ReadonlyMap<string, SafeTensor> = new Map([
  ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(0, 128, 255) }],
  ['wte.weight', { dtype: 'F32', shape: [2, 3], data: Float32Array.of(0, 1, -2, 0.5, NaN, Infinity) }],
  ['scalar', { dtype: 'F64', shape: [], data: Float64Array.of(0.1) }],
  ['ids', { dtype: 'I64', shape: [2], data: BigInt64Array.of(-(2n ** 63n), 7n) }],
  ['half', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) }],
  ['empty', { dtype: 'I32', shape: [0, 4], data: new Int32Array(0) }],
]);

/** A file of a header as it is given and some bytes of data. */
function fileOf(header: unknown, data: Uint8Array | number = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return Uint8Array.from([...length, ...text, ...(typeof data === 'number' ? new Uint8Array(data) : data)]);
}

function problemOf(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes);
  } catch (error) {
    if (error instanceof ModelError && error.code === 'bad-file') return error.message;
    throw error;
  }
  return 'none';
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('round trip', () => {
  test('tensors and metadata come back as they were', () => {
    const metadata = { format: 'pt', 'größe "x"': 'a\nb', '7': 'seven' };
    const read = decodeSafetensors(encodeSafetensors(SOME, metadata));
    expect(new Map([...read.tensors].sort())).toEqual(new Map([...SOME].sort()));
    expect(read.metadata).toEqual(metadata);
  });

  test('any tensors of any names come back', () => {
    const tensor = fc.oneof(
      fc.array(fc.double()).map((a): SafeTensor => {
        return { dtype: 'F64', shape: [a.length, 1], data: Float64Array.from(a) };
      }),
      fc.array(fc.float()).map((a): SafeTensor => {
        return { dtype: 'F32', shape: [1, a.length], data: Float32Array.from(a) };
      }),
      fc.uint16Array().map((data): SafeTensor => ({ dtype: 'BF16', shape: [data.length], data })),
      fc.int32Array().map((data): SafeTensor => ({ dtype: 'I32', shape: [data.length], data })),
      fc.uint8Array().map((data): SafeTensor => ({ dtype: 'U8', shape: [data.length], data })),
    );
    const name = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', '1', '0', '"', 'constructor'),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, tensor)), fc.dictionary(name, fc.string()), (entries, metadata) => {
        const tensors = new Map(entries.filter(([key]) => key !== '__metadata__'));
        const read = decodeSafetensors(encodeSafetensors(tensors, metadata));
        expect(new Map([...read.tensors].sort())).toEqual(new Map([...tensors].sort()));
        expect(Object.entries(read.metadata)).toEqual(Object.entries(metadata));
      }),
    );
  });

  test('the same tensors in another order give the same bytes, with every tensor aligned', () => {
    const bytes = encodeSafetensors(SOME);
    expect(encodeSafetensors(new Map([...SOME].reverse()))).toEqual(bytes);
    const read = decodeSafetensors(bytes);
    expect([...read.tensors.keys()]).toEqual(['ids', 'scalar', 'empty', 'wte.weight', 'half', 'bytes']);
    for (const { data } of read.tensors.values()) expect(data.buffer).toBe(bytes.buffer);
  });

  test('bytes that lie unaligned in memory, or in a pooled Buffer, read the same', () => {
    const bytes = encodeSafetensors(SOME);
    for (let shift = 0; shift < 9; shift++) {
      const shifted = new Uint8Array(bytes.length + 9).subarray(shift, shift + bytes.length);
      shifted.set(bytes);
      expect(decodeSafetensors(shifted)).toEqual(decodeSafetensors(bytes));
      const buffer = Buffer.from(shifted.buffer, shift, bytes.length);
      expect(decodeSafetensors(buffer)).toEqual(decodeSafetensors(bytes));
    }
    // A header whose length is no multiple of 8.
    const file = fileOf(
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ',
      Uint8Array.of(0, 0, 128, 63),
    );
    expect(decodeSafetensors(file).tensors.get('a')!.data).toEqual(Float32Array.of(1));
  });

  test('a file in pieces, as one that no array can hold, reads the same wherever it is cut', () => {
    const bytes = encodeSafetensors(SOME);
    for (let size = 1; size < bytes.length + 2; size++) {
      const count = Math.ceil(bytes.length / size);
      const pieces = Array.from({ length: count }, (_, i) => bytes.slice(i * size, (i + 1) * size));
      expect(decodeSafetensors(pieces)).toEqual(decodeSafetensors(bytes));
      expect(() => decodeSafetensors(pieces.slice(0, -1))).toThrow(
        expect.objectContaining({ code: 'bad-file' }),
      );
    }
  });

  test('pieces hold one tensor each, whose data is asked for when its turn has come', () => {
    const asked: string[] = [];
    const lazy = [...SOME].map(([name, { dtype, shape, data }]): [string, SafeTensor] => [
      name,
      {
        dtype,
        shape,
        get data() {
          asked.push(name);
          return data;
        },
      },
    ]);
    const pieces: Uint8Array[] = [];
    for (const piece of safetensorsPieces(new Map(lazy))) {
      expect(asked).toHaveLength(pieces.length);
      pieces.push(piece);
    }
    expect(asked.toSorted()).toEqual([...SOME.keys()].toSorted());
    expect(decodeSafetensors(pieces)).toEqual(decodeSafetensors(encodeSafetensors(SOME)));
  });

  test('a file of the reference implementation reads as what was written', async () => {
    const { tensors, metadata } = await loadSafetensors(FIXTURE);
    expect(metadata).toEqual({ 'made by': 'safetensors.numpy' });
    const read = Object.fromEntries(tensors);
    expect(read['f64']).toEqual({ dtype: 'F64', shape: [1, 3], data: Float64Array.of(0.1, -0.2, 1e300) });
    expect(read['f32']).toEqual({
      dtype: 'F32',
      shape: [2, 3],
      data: Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25),
    });
    expect(read['i64']).toEqual({ dtype: 'I64', shape: [2], data: BigInt64Array.of(-(2n ** 62n), 7n) });
    expect(read['i32']).toEqual({ dtype: 'I32', shape: [], data: Int32Array.of(-5) });
    expect(read['u8']).toEqual({ dtype: 'U8', shape: [3], data: Uint8Array.of(0, 128, 255) });
    expect(read['empty']).toEqual({ dtype: 'F32', shape: [0, 3], data: new Float32Array(0) });
    expect(read['größe.0']).toEqual({ dtype: 'F32', shape: [1], data: Float32Array.of(1) });
    expect(toFloat32(read['f16']!)).toEqual(
      Float32Array.of(1, -2.5, 6.097555160522461e-5, 5.960464477539063e-8, 65504, Infinity),
    );
    expect(decodeSafetensors(await readFile(FIXTURE))).toEqual({ tensors, metadata });
  });

  test('what no file can hold is refused', () => {
    const encode = (name: string, tensor: SafeTensor) => () => encodeSafetensors(new Map([[name, tensor]]));
    const holes = { dtype: 'F32', shape: new Array<number>(2), data: Float32Array.of(1) } as const;
    expect(encode('a', holes)).toThrow(/is not a list of sizes/);
    const data = Float32Array.of(1, 2);
    expect(encode('w', { dtype: 'F32', shape: [3], data })).toThrow(
      '"w": shape [3] does not fit its 2 elements',
    );
    expect(encode('w', { dtype: 'F32', shape: [-1, -2], data })).toThrow(ModelError);
    expect(encode('w', { dtype: 'F64', shape: [2], data })).toThrow(
      'F64 needs a Float64Array, not a Float32Array',
    );
    expect(encode('__metadata__', { dtype: 'F32', shape: [2], data })).toThrow(ModelError);
  });
});

describe('toFloat32', () => {
  test('widens half floats exactly', () => {
    const data = Uint16Array.of(
      0x0000,
      0x8000,
      0x3c00,
      0xc000,
      0x7bff,
      0x0400,
      0x0001,
      0x7c00,
      0xfc00,
      0x7e00,
      0x3555,
    );
    expect(toFloat32({ dtype: 'F16', shape: [11], data })).toEqual(
      Float32Array.of(0, -0, 1, -2, 65504, 2 ** -14, 2 ** -24, Infinity, -Infinity, NaN, 0.333251953125),
    );
  });

  test('rounds floats to halves: each half is its own, and a float the nearest of them', () => {
    const halves = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
    const values = toFloat32({ dtype: 'F16', shape: [halves.length], data: halves });
    const again = toFloat16(values);
    halves.forEach((half, i) => {
      if (Number.isNaN(values[i])) expect((again[i]! & 0x7fff) > 0x7c00).toBe(true);
      else expect(again[i]).toBe(half);
    });
    const valueOf = (half: number): number =>
      toFloat32({ dtype: 'F16', shape: [1], data: Uint16Array.of(half) })[0]!;
    const floats = fc.float({ noNaN: true, min: -65504, max: 65504 });
    const small = fc.float({ noNaN: true, min: -(2 ** -13), max: 2 ** -13 });
    const midway = fc.nat(0x7bfe).map((half) => (valueOf(half) + valueOf(half + 1)) / 2);
    fc.assert(
      fc.property(fc.oneof(floats, small, midway), (x) => {
        const half = toFloat16(Float32Array.of(x))[0]!;
        const error = Math.abs(valueOf(half) - x);
        for (const neighbour of [half - 1, half + 1].filter((h) => (h & 0x7fff) < 0x7c00)) {
          const other = Math.abs(valueOf(neighbour) - x);
          expect(error <= other).toBe(true);
          // Of two as near to the even one.
          if (error === other && error > 0) expect(half % 2).toBe(0);
        }
      }),
    );
    expect([...toFloat16(Float32Array.of(65519, 65520, -1e6, Infinity, 2 ** -25, 2 ** -26))]).toEqual([
      ...[0x7bff, 0x7c00, 0xfc00, 0x7c00, 0, 0],
    ]);
  });

  test('widens bfloat16 exactly', () => {
    const data = Uint16Array.of(0x0000, 0x8000, 0x3f80, 0xc049, 0x7f80, 0x7fc0, 0x0001);
    expect(toFloat32({ dtype: 'BF16', shape: [7], data })).toEqual(
      Float32Array.of(0, -0, 1, -3.140625, Infinity, NaN, 2 ** -133),
    );
  });

  test('rounds doubles and integers, and gives the data of a float tensor itself', () => {
    expect(toFloat32({ dtype: 'F64', shape: [2], data: Float64Array.of(0.1, 1e300) })).toEqual(
      Float32Array.of(0.1, Infinity),
    );
    expect(toFloat32({ dtype: 'I64', shape: [1], data: BigInt64Array.of(-3n) })).toEqual(Float32Array.of(-3));
    expect(toFloat32({ dtype: 'U8', shape: [1], data: Uint8Array.of(255) })).toEqual(Float32Array.of(255));
    const data = Float32Array.of(1);
    expect(toFloat32({ dtype: 'F32', shape: [1], data })).toBe(data);
  });
});

describe('files', () => {
  test('a saved file loads, replaces the one before and leaves nothing beside it', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'model.safetensors');
      await saveSafetensors(path, new Map(), { version: '1' });
      expect(await loadSafetensors(path)).toEqual({ tensors: new Map(), metadata: { version: '1' } });
      await saveSafetensors(path, SOME, { version: '2' });
      const read = await loadSafetensors(path);
      expect(read.metadata).toEqual({ version: '2' });
      expect(new Map([...read.tensors].sort())).toEqual(new Map([...SOME].sort()));
      expect(new Uint8Array(await readFile(path))).toEqual(encodeSafetensors(SOME, { version: '2' }));
      expect(await readdir(folder)).toEqual(['model.safetensors']);
    }));

  test('a saved file is on the disk, and its name too', () =>
    inFolder(async (folder) => {
      const file = await open(folder);
      const sync = jest.spyOn(Object.getPrototypeOf(file) as typeof file, 'sync');
      await file.close();
      await saveSafetensors(join(folder, 'a'), SOME);
      const flushed = sync.mock.calls.length;
      sync.mockRestore();
      expect(flushed).toBe(2);
    }));

  test('arrays of shared memory save like any other', () =>
    inFolder(async (folder) => {
      const data = new Float32Array(new SharedArrayBuffer(16)).fill(2);
      await saveSafetensors(join(folder, 'a'), new Map([['x', { dtype: 'F32', shape: [4], data }]]));
      const { tensors } = await loadSafetensors(join(folder, 'a'));
      expect(tensors.get('x')!.data).toEqual(Float32Array.of(2, 2, 2, 2));
    }));

  test('a file that cannot be put into place leaves nothing behind', () =>
    inFolder(async (folder) => {
      await expect(saveSafetensors(join(folder, 'no', 'such'), SOME)).rejects.toThrow('ENOENT');
      await mkdtemp(join(folder, 'taken-'));
      const [taken] = await readdir(folder);
      await expect(saveSafetensors(join(folder, taken!), SOME)).rejects.toThrow();
      expect(await readdir(folder)).toEqual([taken]);
    }));

  test('an error names the file and the problem', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'model.safetensors');
      const load = () => loadSafetensors(path).catch((error: unknown) => error);
      expect(await load()).toMatchObject({
        code: 'bad-file',
        message: expect.stringContaining(`${path}: cannot`),
      });
      const bytes = encodeSafetensors(SOME);
      for (const length of [0, 5, 8, 40, bytes.length - 1]) {
        await writeFile(path, bytes.subarray(0, length));
        expect(await load()).toMatchObject({
          name: 'ModelError',
          code: 'bad-file',
          message: expect.stringMatching(new RegExp(`^${path}: .*\\d+`)),
        });
      }
    }));
});

describe('a damaged or hostile file is a bad-file error', () => {
  const info = (shape: unknown, data_offsets: unknown, dtype: unknown = 'U8') => ({
    dtype,
    shape,
    data_offsets,
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), '0 bytes are too few'],
    ['a header beyond the file', fileOf('{}').subarray(0, 9), 'should end at byte 10, but the file has 9'],
    ['an enormous header', new Uint8Array(16).fill(255), 'claims 18446744073709551615 bytes'],
    ['a header above the limit', Uint8Array.of(1, 225, 245, 5, 0, 0, 0, 0), 'claims 100000001 bytes'],
    ['an empty header', fileOf(''), 'does not begin with "{"'],
    ['a header that is a list', fileOf([]), 'does not begin with "{"'],
    ['a header that is no JSON', fileOf('{"a":}'), 'not JSON'],
    ['a header that is no UTF-8', fileOf('{}').map((byte, i) => (i === 9 ? 0xff : byte)), 'not JSON'],
    ['a name twice', fileOf('{"a":{},"b":{},"\\u0061" :{}}'), 'the key "a" twice'],
    ['a field twice', fileOf('{"a":{"dtype":"U8","dtype":"\\"U8"}}'), 'the key "dtype" twice'],
    ['metadata that is no object', fileOf({ __metadata__: [] }), '__metadata__ is not'],
    ['metadata that is no text', fileOf({ __metadata__: { a: 1 } }), '__metadata__ is not'],
    ['no description', fileOf({ a: null }), '"a" is not described'],
    [
      'an unknown dtype',
      fileOf({ a: info([1], [0, 1], 'F8_E4M3') }, 1),
      'dtype "F8_E4M3": expected one of F64,',
    ],
    ['a dtype of the prototype', fileOf({ a: info([1], [0, 1], 'constructor') }, 1), 'dtype "constructor"'],
    ['no dtype', fileOf({ a: info([1], [0, 1], 8) }, 1), 'no dtype'],
    ['a negative size', fileOf({ a: info([-1], [0, 1]) }, 1), 'no valid shape'],
    ['a broken size', fileOf({ a: info([0.5], [0, 1]) }, 1), 'no valid shape'],
    ['a shape beyond all memory', fileOf({ a: info([2 ** 40, 2 ** 40], [0, 1]) }, 1), 'no valid shape'],
    ['offsets that are no pair', fileOf({ a: info([1], [0]) }, 1), 'no valid data_offsets'],
    ['offsets below zero', fileOf({ a: info([1], [-1, 0]) }, 1), 'no valid data_offsets'],
    ['offsets the wrong way round', fileOf({ a: info([1], [1, 0]) }, 1), 'takes 1 bytes'],
    ['a size that is not the shape’s', fileOf({ a: info([2], [0, 2], 'F32') }, 2), 'F32 [2] takes 8 bytes'],
    ['offsets outside the file', fileOf({ a: info([9], [0, 9]) }, 8), 'take 9 bytes, but 8 follow'],
    ['data of no tensor', fileOf({ a: info([7], [0, 7]) }, 8), 'take 7 bytes, but 8 follow'],
    ['a hole', fileOf({ a: info([2], [0, 2]), b: info([1], [3, 4]) }, 4), '"b" at 3 … 4 leaves a hole'],
    ['an overlap', fileOf({ a: info([3], [0, 3]), b: info([2], [2, 4]) }, 4), '"b" at 2 … 4 overlaps'],
    ['the same bytes twice', fileOf({ a: info([1], [0, 1]), b: info([1], [0, 1]) }, 1), 'overlaps'],
  ])('%s', (_, bytes, problem) => {
    expect(problemOf(bytes)).toContain(problem);
  });

  test('nesting without end', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    for (const header of [
      `{"a":{"dtype":${deep},"shape":[],"data_offsets":[0,1]}}`,
      `{"a":{"dtype":"U8","shape":${deep},"data_offsets":[0,1]}}`,
      `{"a":{"dtype":"U8","shape":[],"data_offsets":${deep}}}`,
      `{"__metadata__":${deep}}`,
      '{"a":'.repeat(200_000),
    ]) {
      expect(problemOf(fileOf(header))).not.toBe('none');
    }
  });

  test('every truncation', () => {
    const bytes = encodeSafetensors(SOME, { a: 'b' });
    for (let length = 0; length < bytes.length; length++) {
      expect(problemOf(bytes.slice(0, length))).not.toBe('none');
    }
  });

  test('random damage is an error or harmless, and never reads outside the file', () => {
    const bytes = encodeSafetensors(SOME, { a: 'b' });
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.nat(7), (changes, shift) => {
        const memory = new Uint8Array(bytes.length + 16).fill(0xaa);
        const file = memory.subarray(shift, shift + bytes.length);
        file.set(bytes);
        for (const [at, value] of changes) file[at] = value;
        if (problemOf(file) !== 'none') return;
        let total = 0;
        for (const { data } of decodeSafetensors(file).tensors.values()) {
          total += data.byteLength;
          if (data.buffer !== memory.buffer) continue;
          expect(data.byteOffset).toBeGreaterThanOrEqual(file.byteOffset);
          expect(data.byteOffset + data.byteLength).toBeLessThanOrEqual(file.byteOffset + file.length);
        }
        expect(total).toBeLessThan(file.length);
      }),
      { numRuns: 5000 },
    );
  });

  test('random bytes, and random headers', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void problemOf(bytes)));
    const size = fc.oneof(
      fc.nat(9),
      fc.integer(),
      fc.double(),
      fc.constantFrom<unknown>(null, 'x', -0, 1e308),
    );
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom('F32', 'U8', 'F16'), fc.jsonValue()),
        shape: fc.oneof(fc.array(size), fc.jsonValue()),
        data_offsets: fc.oneof(fc.tuple(size, size), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()));
    fc.assert(
      fc.property(header, fc.nat(16), (fields, data) => void problemOf(fileOf(fields, data))),
      {
        numRuns: 1000,
      },
    );
  });
});

test.each<[string, unknown]>([
  ['a path', 'model.safetensors'],
  ['an ArrayBuffer', new ArrayBuffer(8)],
  ['numbers', Float32Array.of(1, 2)],
  ['pieces, one of which is wider', [new Uint8Array(4), BigInt64Array.of(1n)]],
  ['nothing', undefined],
])('%s in place of bytes is an error that says what is expected', (_, given) => {
  expect(() => decodeSafetensors(given as Uint8Array)).toThrow(
    expect.objectContaining({
      code: 'bad-input',
      message: expect.stringMatching(/Uint8Array.*readFile\(path\)/),
    }),
  );
});
