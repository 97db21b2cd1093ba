import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { linear, noGrad, tensor } from '@dag/executor';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import fs from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  decodeSafetensors,
  encodeSafetensors,
  Gpt,
  loadGpt2,
  ParameterBuilder,
  type DownloadProgress,
  type Gpt2,
  type GptConfig,
  type HubOptions,
  type SafeTensor,
} from '../src/index.js';
import { COMMIT, serveHub, type Fault, type HubServer } from './hub-server.js';

interface Fixture {
  readonly shape: number[];
  readonly data: number[];
}
const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url));
/** A small GPT-2 with random weights, in the layout of the published ones, and PyTorch's logits of it. */
const tiny = join(fixtures, 'gpt2');
const { tokens, logits } = JSON.parse(readFileSync(join(fixtures, 'gpt2.json'), 'utf8')) as Record<
  'tokens' | 'logits',
  Fixture
>;
const config = readFileSync(join(tiny, 'config.json'));
const weights = readFileSync(join(tiny, 'model.safetensors'));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dag-gpt2-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The weights in a model of another block size or vocabulary; the first `time` tokens of each text → logits. */
async function logitsOf(gpt2: Gpt2, other: Partial<GptConfig> = {}, time = 9): Promise<Float32Array> {
  // Random at first: what is not overwritten shows.
  const build = new ParameterBuilder(1);
  const gpt = new Gpt({ ...gpt2.config, ...other }, build);
  await gpt2.copyTo(build.parameters);
  const ids = tokens.data.filter((_, i) => i % 9 < time);
  return noGrad(() => {
    const hidden = gpt.forward(tensor(Int32Array.from(ids), [2, time]));
    return linear(hidden, build.parameters.get('wte.weight')!).dataSync() as Float32Array;
  });
}

/** PyTorch's logits of the first `time` tokens of each text, with zeros for `padding` more tokens of a vocabulary. */
function expectedLogits(time = 9, padding = 0): number[] {
  const [, T, V] = logits.shape as [number, number, number];
  const rows = Array.from({ length: 2 * T }, (_, row) => logits.data.slice(row * V, (row + 1) * V));
  return rows
    .filter((_, row) => row % T < time)
    .flatMap((row) => [...row, ...new Array<number>(padding).fill(0)]);
}

/** Largest difference, relative to the largest logit. */
function difference(given: ArrayLike<number>, expected: readonly number[]): number {
  expect(given.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((v, i) => Math.abs(given[i]! - v))) / scale;
}

async function expectError(of: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error = await of.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'ModelError', code });
  expect((error as Error).message).toMatch(message);
}

/** A folder with the tiny GPT-2 after a change of its configuration or its tensors. */
function changed(
  change: { config?: Record<string, unknown>; tensors?: (all: Map<string, SafeTensor>) => void } = {},
): string {
  const to = join(folder, 'changed');
  cpSync(tiny, to, { recursive: true });
  writeFileSync(
    join(to, 'config.json'),
    JSON.stringify({ ...(JSON.parse(config.toString()) as object), ...change.config }),
  );
  const { tensors } = decodeSafetensors(weights);
  change.tensors?.(tensors);
  writeFileSync(join(to, 'model.safetensors'), encodeSafetensors(tensors));
  return to;
}

function renamed(tensors: Map<string, SafeTensor>, rename: (name: string) => string): void {
  const all = [...tensors];
  tensors.clear();
  for (const [name, given] of all) tensors.set(rename(name), given);
}

describe('GPT-2 from a folder', () => {
  it('has the configuration of config.json', async () => {
    expect((await loadGpt2(tiny)).config).toEqual({
      ...{ blockSize: 12, vocabSize: 96, nLayer: 2, nHead: 2, nEmbd: 16 },
      ...{ dropout: 0, bias: true, depth: 0, activation: 'geluTanh' },
    });
  });

  it("gives PyTorch's logits", async () => {
    // Weights and sums are float32; PyTorch's are doubles.
    expect(difference(await logitsOf(await loadGpt2(tiny)), expectedLogits())).toBeLessThan(1e-5);
  });

  it('gives others with the exact GELU, which GPT-2 was not trained with', async () => {
    const exact = await logitsOf(await loadGpt2(tiny), { activation: 'gelu' });
    expect(difference(exact, expectedLogits())).toBeGreaterThan(1e-4);
  });

  it('can have a shorter block', async () => {
    const short = await logitsOf(await loadGpt2(tiny), { blockSize: 5 }, 5);
    expect(difference(short, expectedLogits(5))).toBeLessThan(1e-5);
  });

  it('can have a larger vocabulary, whose new tokens have logits of zero', async () => {
    const padded = await logitsOf(await loadGpt2(tiny), { vocabSize: 128 });
    expect(difference(padded, expectedLogits(9, 32))).toBeLessThan(1e-5);
  });

  const layouts: [string, (tensors: Map<string, SafeTensor>) => void][] = [
    ['names that begin with "transformer."', (all) => renamed(all, (name) => `transformer.${name}`)],
    [
      'a head beside the embeddings it is tied to',
      (all) => all.set('lm_head.weight', all.get('wte.weight')!),
    ],
    [
      'embeddings stored as the head',
      (all) => renamed(all, (name) => (name === 'wte.weight' ? 'lm_head.weight' : `transformer.${name}`)),
    ],
    ['no masks', (all) => all.delete('h.0.attn.bias') && all.delete('h.1.attn.bias')],
    [
      'masks of booleans',
      (all) => all.set('h.0.attn.bias', { dtype: 'BOOL', shape: [2, 2], data: Uint8Array.of(1, 0, 1, 1) }),
    ],
    [
      'weights in doubles',
      (all) => {
        for (const [name, { shape, data }] of all)
          all.set(name, { dtype: 'F64', shape, data: Float64Array.from(data as Float32Array) });
      },
    ],
  ];
  it.each(layouts)('can have %s', async (_, tensors) => {
    const gpt2 = await loadGpt2(changed({ tensors }));
    expect(difference(await logitsOf(gpt2), expectedLogits())).toBeLessThan(1e-5);
  });

  it('leaves parameters of other names as they are', async () => {
    const gpt2 = await loadGpt2(tiny);
    const build = new ParameterBuilder(1);
    new Gpt(gpt2.config, build);
    const readout = build.constant('readout.weight', [3], 7);
    await gpt2.copyTo(build.parameters);
    expect(Array.from(readout.dataSync())).toEqual([7, 7, 7]);
  });

  it.each<[Partial<GptConfig>, RegExp]>([
    [{ blockSize: 13 }, /'wpe.weight' of the model is \(13, 16\), of GPT-2 \(12, 16\).*blockSize up to 12/],
    [{ vocabSize: 95 }, /'wte.weight' of the model is \(95, 16\), of GPT-2 \(96, 16\).*vocabSize from 96/],
    [{ nEmbd: 32 }, /'wte.weight' of the model is \(96, 32\), of GPT-2 \(96, 16\).*nEmbd 16/],
    [{ nLayer: 1 }, /GPT-2 has 'h.1.ln_1.weight', the model does not.*nLayer 2/],
    [{ nLayer: 3 }, /the model has 'h.2.ln_1.weight', GPT-2 does not.*nLayer 2/],
    [{ bias: false }, /GPT-2 has 'h.0.ln_1.bias', the model does not.*bias true/],
  ])('does not fit a model with %j, and changes nothing of it', async (other, message) => {
    const gpt2 = await loadGpt2(tiny);
    const build = new ParameterBuilder(1);
    new Gpt({ ...gpt2.config, ...other }, build);
    const before = [...build.parameters.values()].map((p) => p.dataSync());
    await expectError(gpt2.copyTo(build.parameters), 'shape', message);
    expect([...build.parameters.values()].map((p) => p.dataSync())).toEqual(before);
  });

  const hole: SafeTensor = { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) };
  it.each<[string, Parameters<typeof changed>[0], RegExp]>([
    ['another architecture', { config: { model_type: 'llama' } }, /"model_type" is "llama", expected "gpt2"/],
    [
      'no number of layers',
      { config: { n_layer: undefined } },
      /"n_layer" is a whole number from 1, given undef/,
    ],
    [
      'more layers than it has tensors',
      { config: { n_layer: 1e9 } },
      /by config.json it has 1000000000 layers, but there are 28 tensors in it/,
    ],
    ['more layers', { config: { n_layer: 3 } }, /"h.2.ln_1.weight" is missing/],
    ['another block', { config: { n_positions: 1e9 } }, /"wpe.weight" is \(12, 16\), by config.json/],
    ['another activation', { config: { activation_function: 'relu' } }, /"activation_function" is "relu"/],
    [
      'another epsilon of norms',
      { config: { layer_norm_epsilon: 1e-6 } },
      /"layer_norm_epsilon" is 0.000001/,
    ],
    ['layers of another width', { config: { n_inner: 32 } }, /"n_inner" is 32, expected 64/],
    ['other scales', { config: { scale_attn_weights: false } }, /"scale_attn_weights" is false/],
    [
      'scales by the layer',
      { config: { scale_attn_by_inverse_layer_idx: true } },
      /"scale_attn_by_inverse_layer_idx" is true/,
    ],
    ['a head of its own', { config: { tie_word_embeddings: false } }, /"tie_word_embeddings" is false/],
    [
      'another width',
      { config: { n_embd: 8 } },
      /"h.0.attn.c_attn.bias" is \(48\), by config.json it is \(24\)/,
    ],
    ['fewer layers', { config: { n_layer: 1 } }, /a GPT-2 of 1 layers has no tensor "h.1.attn.c_attn.bias"/],
    ['heads that do not divide', { config: { n_head: 3 } }, /"n_embd" 16 is not divisible by "n_head" 3/],
    ['a tensor missing', { tensors: (all) => all.delete('ln_f.bias') }, /"ln_f.bias" is missing/],
    [
      'a tensor too many',
      { tensors: (all) => all.set('score.weight', hole) },
      /has no tensor "score.weight"/,
    ],
    [
      'linear layers (out, in)',
      { tensors: (all) => all.set('h.0.mlp.c_fc.weight', wide(all)) },
      /\(64, 16\), by/,
    ],
    [
      'weights in integers',
      { tensors: (all) => all.set('ln_f.bias', { dtype: 'I32', shape: [16], data: new Int32Array(16) }) },
      /"ln_f.bias" has the dtype I32/,
    ],
  ])('is refused with %s', async (_, change, message) => {
    await expectError(loadGpt2(changed(change)), 'bad-file', message);
  });

  it('is refused where its weights are no numbers, named by tensor', async () => {
    const tensors = (all: Map<string, SafeTensor>): unknown =>
      all.set('h.1.ln_2.bias', { dtype: 'F32', shape: [16], data: new Float32Array(16).fill(NaN) });
    const gpt2 = await loadGpt2(changed({ tensors: (all) => void tensors(all) }));
    const build = new ParameterBuilder(1);
    new Gpt(gpt2.config, build);
    await expectError(gpt2.copyTo(build.parameters), 'not-finite', /'h.1.ln_2.bias' is NaN at element 0/);
  });

  it('is refused where a folder or a pipe stands in place of a file, or a configuration of any size', async () => {
    for (const file of ['config.json', 'model.safetensors']) {
      const to = changed();
      rmSync(join(to, file));
      mkdirSync(join(to, file));
      await expectError(loadGpt2(to), 'bad-file', /it is a folder, no file/);
      rmSync(join(to, file), { recursive: true });
      if (process.platform !== 'win32') {
        execFileSync('mkfifo', [join(to, file)]);
        await expectError(loadGpt2(to), 'bad-file', /it is a pipe or a device, no file/);
      }
      rmSync(to, { recursive: true });
    }
    const to = changed();
    writeFileSync(join(to, 'config.json'), ' '.repeat(1_000_001));
    await expectError(loadGpt2(to), 'bad-file', /it has 1000001 bytes, expected at most 1000000/);
  });

  it('is refused when it ends early, or is not there', async () => {
    const to = changed();
    writeFileSync(join(to, 'model.safetensors'), weights.subarray(0, -4));
    await expect(loadGpt2(to)).rejects.toMatchObject({ code: 'bad-file' });
    rmSync(join(to, 'model.safetensors'));
    await expect(loadGpt2(to)).rejects.toThrow(/model.safetensors: cannot be opened/);
    await expect(loadGpt2('gpt3')).rejects.toThrow(
      /gpt3.config.json: cannot be read .*one of gpt2, gpt2-medium, gpt2-large, gpt2-xl/,
    );
  });
});

function wide(all: Map<string, SafeTensor>): SafeTensor {
  return { ...all.get('h.0.mlp.c_fc.weight')!, shape: [64, 16] };
}

describe('GPT-2 from the hub', () => {
  const repository = 'openai-community/gpt2';
  const files = new Map([
    ['config.json', config],
    ['model.safetensors', weights],
  ]);
  let server: HubServer | undefined;
  const serve = async (...faults: [string, Fault][]): Promise<HubServer> =>
    (server = await serveHub(repository, files, new Map(faults)));
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  const load = (options: HubOptions = {}): Promise<Gpt2> =>
    loadGpt2('gpt2', { hubUrl: server?.url ?? 'http://closed.invalid', cacheDir: folder, ...options });
  const cached = (...path: string[]): string => join(folder, 'models--openai-community--gpt2', ...path);
  const snapshot = (file: string): string => cached('snapshots', COMMIT, file);

  it('is downloaded, with its progress', async () => {
    await serve();
    const progress: DownloadProgress[] = [];
    const gpt2 = await load({ onProgress: (at) => progress.push(at) });
    expect(difference(await logitsOf(gpt2), expectedLogits())).toBeLessThan(1e-5);
    const last = (file: string) => progress.filter((at) => at.file === file).at(-1);
    for (const [file, { length }] of files)
      expect(last(file)).toEqual({ file, received: length, total: length });
  });

  it('is in the cache then, where other programs find it', async () => {
    await serve();
    const { path } = await load();
    expect(path).toBe(snapshot('model.safetensors'));
    expect(readFileSync(cached('refs', 'main'), 'utf8')).toBe(COMMIT);
    // SHA-256 for a file in LFS, git's for another: `sha256sum model.safetensors`, `git hash-object config.json`.
    expect(
      readdirSync(cached('blobs'))
        .map((id) => id.length)
        .sort(),
    ).toEqual([40, 64]);
    expect(basename(realpathSync(path))).toHaveLength(64);
    expect(readFileSync(snapshot('config.json'))).toEqual(config);
  });

  it('is downloaded once: afterwards it needs no network', async () => {
    await serve();
    await load();
    await server!.close();
    server = undefined;
    expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
  });

  it('comes from HF_ENDPOINT into HF_HUB_CACHE where nothing else is said', async () => {
    const { url } = await serve();
    const before = { ...process.env };
    try {
      Object.assign(process.env, { HF_ENDPOINT: `${url}/`, HF_HUB_CACHE: folder });
      expect((await loadGpt2('gpt2')).path).toBe(snapshot('model.safetensors'));
    } finally {
      process.env = before;
    }
  });

  /** Changes a bit of the cached weights; → where they are. */
  function damage(): string {
    const blob = realpathSync(snapshot('model.safetensors'));
    const broken = Buffer.from(weights);
    broken[20_000]! ^= 1;
    writeFileSync(blob, broken);
    return blob;
  }

  it('downloads again what is damaged in the cache, and that alone, and says so', async () => {
    const { requests } = await serve();
    await load();
    const blob = damage();
    const asked = requests.length;
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const loaded = await logitsOf(await load());
    const warnings = warn.mock.calls.map(([text]) => String(text));
    warn.mockRestore();
    expect(difference(loaded, expectedLogits())).toBeLessThan(1e-5);
    expect(warnings).toEqual([
      expect.stringContaining(`${blob}, model.safetensors in the cache, is damaged`),
    ]);
    expect(requests.slice(asked).filter((request) => request.includes('config.json'))).toEqual([]);
    expect(readFileSync(blob)).toEqual(weights);
  });

  it('takes nothing that is damaged where there is no network', async () => {
    const { url } = await serve();
    await load();
    await server!.close();
    damage();
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    await expectError(load({ hubUrl: url }), 'download', /cannot be reached/);
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  it('downloads what the cache lacks', async () => {
    await serve();
    await load();
    rmSync(snapshot('config.json'));
    await load();
    expect(readFileSync(snapshot('config.json'))).toEqual(config);
  });

  const half = weights.subarray(0, weights.length / 2);
  const faults: [string, Fault, RegExp][] = [
    [
      'breaks off',
      (response, { length }) => {
        response.writeHead(200, { 'Content-Length': length });
        response.write(half, () => response.destroy());
      },
      /model.safetensors broke off after \d+ of 37096 bytes \(.+\)/,
    ],
    [
      'ends early',
      (response) => response.end(half),
      /model.safetensors broke off after 18548 of 37096 bytes \(it ended/,
    ],
    [
      'does not end',
      (response) => response.end(Buffer.concat([weights, weights])),
      /model.safetensors has more than 37096 bytes/,
    ],
    [
      'has another content',
      (response, { length }) => response.end(Buffer.alloc(length)),
      /model.safetensors has the hash [0-9a-f]{64}, according to the hub [0-9a-f]{64}/,
    ],
    [
      'is refused',
      (response) => response.writeHead(503).end('busy'),
      /model.safetensors answered 503, 3 times/,
    ],
  ];
  it.each(faults)('leaves nothing in the cache of a download that %s', async (_, fault, message) => {
    await serve(['model.safetensors', fault]);
    await expectError(load(), 'download', message);
    expect(readdirSync(cached('blobs')).filter((id) => id.length !== 40)).toEqual([]);
    await server!.close();
    await serve();
    expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
  });

  it('stops where its signal says so, and leaves nothing', async () => {
    // Never ends by itself.
    await serve(['model.safetensors', (response) => response.write(half)]);
    const stop = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({ file }: DownloadProgress): void => {
      if (file === 'model.safetensors') stop.abort(reason);
    };
    await expect(load({ signal: stop.signal, onProgress })).rejects.toBe(reason);
    expect(readdirSync(cached('blobs')).filter((id) => id.length !== 40)).toEqual([]);
  });

  /** Calls `body` with these variables of the environment. */
  async function withEnvironment(values: Record<string, string>, body: () => Promise<void>): Promise<void> {
    const before = { ...process.env };
    try {
      Object.assign(process.env, values);
      await body();
    } finally {
      process.env = before;
    }
  }
  const incomplete = (): string[] =>
    readdirSync(cached('blobs')).filter((name) => name.endsWith('.incomplete'));

  it('goes on where a download broke off, from a server that can, and begins anew at one that cannot', async () => {
    for (const canRange of [true, false]) {
      const ranges: (string | undefined)[] = [];
      await serve([
        'model.safetensors',
        (response, bytes, request) => {
          ranges.push(request.headers.range);
          if (!canRange) delete request.headers.range;
          if (ranges.length > 1) return 'send';
          response.writeHead(200, { 'Content-Length': bytes.length });
          return response.write(half, () => response.destroy());
        },
      ]);
      expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
      expect(ranges.slice(0, 2)).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
      expect(ranges).toHaveLength(canRange ? 2 : 3);
      await server!.close();
      rmSync(cached(), { recursive: true });
    }
  });

  it('goes on with what a process that was killed has left, and leaves what another one is writing', async () => {
    const { requests, headers } = await serve();
    await load();
    const blob = basename(realpathSync(snapshot('model.safetensors')));
    rmSync(cached('blobs', blob));
    // The begin of a name as this process gives it, with the number of another.
    const host = createHash('sha1').update(hostname()).digest('hex').slice(0, 8);
    const left = (pid: number, id: number) =>
      cached('blobs', `${blob}.${`${id}`.repeat(8)}-0000-4000-8000-000000000000.${host}.${pid}.incomplete`);
    const killed = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(left(killed, 1), half);
    writeFileSync(left(killed, 2), half);
    writeFileSync(left(process.ppid, 3), half);
    const asked = requests.length;
    expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
    expect(headers.slice(asked).map(({ range }) => range)).toContain(`bytes=${half.length}-`);
    expect(incomplete()).toEqual([basename(left(process.ppid, 3))]);
  });

  it('begins anew, once, where what a killed process has left is damaged', async () => {
    const { requests, headers } = await serve();
    await load();
    const blob = basename(realpathSync(snapshot('model.safetensors')));
    const host = createHash('sha1').update(hostname()).digest('hex').slice(0, 8);
    const killed = spawnSync(process.execPath, ['-e', '']).pid;
    const left = `${blob}.11111111-0000-4000-8000-000000000000.${host}.${killed}.incomplete`;
    for (const bytes of [half.length, weights.length]) {
      rmSync(cached('blobs', blob));
      writeFileSync(cached('blobs', left), Buffer.alloc(bytes));
      const asked = requests.length;
      expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
      // Once of the hub, and once of the place that it leads to.
      const ranges = new Set(headers.slice(asked).flatMap(({ range }) => range ?? []));
      expect([...ranges]).toEqual(bytes === half.length ? [`bytes=${bytes}-`] : []);
      expect(incomplete()).toEqual([]);
    }
  });

  it.each([
    ['begins anew, once, where a server goes on with other bytes', 1],
    ['gives up a server that goes on with other bytes again', 2],
  ])('%s', async (_, times) => {
    const ranges: (string | undefined)[] = [];
    const other = Buffer.from(weights).fill(0, half.length);
    await serve([
      'model.safetensors',
      (response, bytes, { headers: { range } }) => {
        ranges.push(range);
        if (ranges.length > 2 * times) return 'send';
        if (range === undefined) {
          response.writeHead(200, { 'Content-Length': bytes.length });
          return response.write(half, () => response.destroy());
        }
        const from = Number(/\d+/.exec(range)![0]);
        const whole = { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
        return response.writeHead(206, whole).end(other.subarray(from));
      },
    ]);
    if (times === 1) expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
    else
      await expectError(load(), 'download', /has the hash [0-9a-f]{64}, according to the hub [0-9a-f]{64}/);
    expect(ranges.map((range) => range !== undefined)).toEqual(
      times === 1 ? [false, true, false] : [false, true, false, true],
    );
    expect(incomplete()).toEqual([]);
  });

  const withoutLinks = () =>
    jest.spyOn(fs, 'symlink').mockRejectedValue(
      Object.assign(new Error('EPERM: operation not permitted, symlink'), {
        ...{ code: 'EPERM', syscall: 'symlink', path: 'x' },
      }),
    );

  it.each([true, false])(
    'may be downloaded several times at once; with symbolic links: %p',
    async (hasLinks) => {
      const symlink = hasLinks ? null : withoutLinks();
      try {
        await serve();
        const all = await Promise.all(Array.from({ length: 8 }, () => load()));
        for (const one of all) expect(difference(await logitsOf(one), expectedLogits())).toBeLessThan(1e-5);
        expect(incomplete()).toEqual([]);
      } finally {
        symlink?.mockRestore();
      }
    },
  );

  it('follows no redirections in a circle, or to what is no address', async () => {
    await serve(['api', (response, _, { url }) => response.writeHead(302, { Location: url! }).end()]);
    await expectError(load(), 'download', /answered 302, and leads on after 5 redirections/);
    expect(server!.requests).toHaveLength(6);
    await server!.close();
    await serve(['api', (response) => response.writeHead(302, { Location: 'http://' }).end()]);
    await expectError(load(), 'download', /answered 302, and leads to no address/);
  });

  it('comes into a cache on a file system without symbolic links, and is checked there', async () => {
    const symlink = withoutLinks();
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      const { requests } = await serve();
      await load();
      expect(lstatSync(snapshot('model.safetensors')).isFile()).toBe(true);
      expect(readdirSync(cached('blobs'))).toEqual([]);
      const asked = requests.length;
      expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
      expect(requests.length).toBe(asked);
      // Cut short, it is downloaded again; without a note of its hash, as another program leaves it, the hub is asked for one.
      for (const noted of [true, false]) {
        writeFileSync(snapshot('model.safetensors'), half);
        if (!noted) rmSync(cached('.hashes'), { recursive: true });
        expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
      }
      expect(warn).toHaveBeenCalledTimes(1);
      rmSync(cached('.hashes'), { recursive: true });
      const before = requests.length;
      await load();
      expect(requests.slice(before).filter((request) => request.includes('resolve'))).toEqual([]);
      rmSync(cached('.hashes'), { recursive: true });
      await server!.close();
      expect(difference(await logitsOf(await load()), expectedLogits())).toBeLessThan(1e-5);
    } finally {
      symlink.mockRestore();
      warn.mockRestore();
    }
  });

  it('says who asks by HF_TOKEN or the file of a token, to the hub and to no other host', async () => {
    const elsewhere = await serveHub(repository, files);
    const lead: Fault = (response) => {
      response.writeHead(302, { Location: `${elsewhere.url}/cdn/model.safetensors` }).end();
    };
    const tokenFile = join(folder, 'token-file');
    writeFileSync(tokenFile, 'hf_file\n');
    for (const [values, token] of [
      [{ HF_TOKEN: ' hf_variable\n' }, 'hf_variable'],
      [{ HF_TOKEN: '', HF_TOKEN_PATH: tokenFile }, 'hf_file'],
    ] as const)
      await withEnvironment(values, async () => {
        const { headers, requests } = await serve(['model.safetensors', lead]);
        await load();
        const told = headers.map(({ authorization }) => authorization);
        expect(told.length).toBeGreaterThan(3);
        expect(told.filter((given) => given !== `Bearer ${token}`)).toEqual([]);
        expect(requests.at(-1)).toBe('GET /cdn/model.safetensors');
        await server!.close();
        rmSync(cached(), { recursive: true });
      });
    expect(elsewhere.headers.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
    await elsewhere.close();
  });

  it('says what a token is for where one is asked for', async () => {
    await serve(['api', (response) => response.writeHead(401).end('{}')]);
    await withEnvironment({ HF_HOME: folder }, () =>
      expectError(load(), 'download', /answered 401, and HF_TOKEN is not set\. Set HF_TOKEN/),
    );
  });

  it('asks nobody where HF_HUB_OFFLINE is set', async () => {
    const { requests } = await serve();
    await withEnvironment({ HF_HUB_OFFLINE: '1' }, () =>
      expectError(load(), 'download', /not in the cache, and HF_HUB_OFFLINE is set/),
    );
    expect(requests).toEqual([]);
  });

  it('goes through a proxy, but not to a host that NO_PROXY names', async () => {
    await serve();
    const asked: string[] = [];
    const proxy = createServer().on('connect', (request, client) => {
      asked.push(request.url!);
      const { port } = new URL(server!.url);
      const to = connect(Number(port), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        to.pipe(client).pipe(to);
      });
      for (const socket of [to, client]) socket.on('error', () => to.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const values = { HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: 'localhost' };
    await withEnvironment({ ...values, http_proxy: '', no_proxy: '' }, async () => {
      await load({ hubUrl: 'http://hub.invalid' });
      expect(new Set(asked)).toEqual(new Set(['hub.invalid:80']));
    });
    rmSync(cached(), { recursive: true });
    await withEnvironment({ ...values, NO_PROXY: '127.0.0.1', no_proxy: '', http_proxy: '' }, async () => {
      const before = asked.length;
      await load();
      expect(asked.length).toBe(before);
    });
    proxy.close();
  });

  it.each([429, 503])('rests as long as an answer of %d asks for, and asks again', async (status) => {
    const at: number[] = [];
    await serve([
      'api',
      (response) => {
        at.push(Date.now());
        if (at.length > 1) return 'send';
        return response.writeHead(status, { 'Retry-After': '1' }).end();
      },
    ]);
    await load();
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(950);
    await server!.close();
    rmSync(cached(), { recursive: true });
    await serve(['api', (response) => response.writeHead(status, { 'Retry-After': '86400' }).end()]);
    await expectError(load(), 'download', /it can be asked again in 86400 s/);
  });

  it('gives up a server that sends next to nothing', async () => {
    await serve([
      'model.safetensors',
      (response, { length }) => {
        response.writeHead(200, { 'Content-Length': length });
        const drip = setInterval(() => response.write('x'), 100);
        response.on('close', () => clearInterval(drip));
      },
    ]);
    await withEnvironment({ HF_HUB_DOWNLOAD_TIMEOUT: '0.5' }, () =>
      expectError(
        load(),
        'download',
        /broke off after \d+ of 37096 bytes \(fewer than 1000 bytes a second for 0.5 s/,
      ),
    );
    await server!.close();
    await serve(['api', () => undefined]);
    await withEnvironment({ HF_HUB_DOWNLOAD_TIMEOUT: '0.5' }, () =>
      expectError(load(), 'download', /fewer than 1000 bytes a second for 0.5 s/),
    );
  });

  it('waits for a longer time than a timer can count', async () => {
    await serve();
    await withEnvironment({ HF_HUB_DOWNLOAD_TIMEOUT: '1e9' }, async () => void (await load()));
  });

  it('takes no answer of the API that is larger than such answers are', async () => {
    await serve(['api', (response) => response.end(Buffer.alloc(30_000_000, 0x20))]);
    await expectError(load(), 'download', /answers with more than 4000000 bytes/);
  });

  it('names the network that is not there, and the ways out', async () => {
    const { url } = await serve();
    await server!.close();
    server = undefined;
    await expectError(
      load({ hubUrl: url }),
      'download',
      /gpt2: http:\/\/127.0.0.1:\d+ cannot be reached \(.*ECONNREFUSED.*\)\. Run it once with a network, set HTTPS_PROXY .* or HF_ENDPOINT to a mirror, or download config.json and model.safetensors .* by hand/,
    );
    // No resolver knows this one (RFC 6761).
    await expectError(
      load({ hubUrl: 'http://hub.invalid' }),
      'download',
      /http:\/\/hub.invalid cannot be reached \(.*(ENOTFOUND|EAI_AGAIN).*\)/,
    );
    await expectError(load({ hubUrl: 'no address' }), 'download', /no address cannot be reached \(.*URL/);
  });

  it('names a repository or a file that is not there', async () => {
    const { url } = await serve();
    await expectError(
      loadGpt2('gpt2-xl', { hubUrl: url, cacheDir: folder }),
      'download',
      /openai-community\/gpt2-xl: http.*answered 404\. Set HF_ENDPOINT if/,
    );
    await server!.close();
    server = await serveHub(repository, new Map([['config.json', config]]));
    await expectError(
      load(),
      'download',
      /resolve\/[0-9a-f]{40}\/model.safetensors is missing: the repository has no such file/,
    );
  });

  it('names a cache that cannot be written', async () => {
    await serve();
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await expectError(
      load({ cacheDir: file }),
      'download',
      /the cache cannot be used \(.*ENOTDIR.*file.*\)\. Set HF_HUB_CACHE to a folder that can be/,
    );
    expect(statSync(file).size).toBe(0);
  });
});
