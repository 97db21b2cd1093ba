/** Pages that ask the shipped model and train a small one, on WebAssembly, built by each bundler from the built packages. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'puppeteer-core';
import { setDefaultDevice } from '@dag/executor';
import { parseConfig, predictorSmall, PredictorTraining } from '../src/browser.js';
import { loadPretrained } from '../src/load-pretrained.js';
import { browserDescribe, openBrowser } from './browser.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PAGE = join(ROOT, 'packages/train/test/fixtures/page');

/** Pages by how they are built: by a bundler (see fixtures/page/build.js), or not at all. */
const NAMES = ['esbuild', 'vite', 'webpack', 'rollup', 'import-map'];

const readme = readFileSync(join(ROOT, 'packages/model/README.md'), 'utf8');
const [, map] = /<script type="importmap">([^]*?)<\/script>/.exec(readme)!;
const IMPORTS = {
  ...(JSON.parse(map!) as { imports: Record<string, string> }).imports,
  '@dag/train/browser': '/packages/train/dist/browser.js',
  leven: '/node_modules/leven/index.js',
  zod: '/node_modules/zod/index.js',
};

/** What a page takes of an installed package. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  executor: ['package.json', 'dist', 'native/wasm'],
  model: ['package.json', 'dist', 'weights'],
};

/** Makes the page in a folder. */
async function make(name: string, folder: string): Promise<void> {
  const isBuilt = name !== 'import-map';
  if (isBuilt) await promisify(execFile)(process.execPath, [join(PAGE, 'build.js'), name, folder]);
  const html = isBuilt
    ? '<script type="module" src="main.js"></script>'
    : `<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>` +
      '<script type="module" src="/packages/train/test/fixtures/page/import-map.js"></script>';
  await writeFile(join(folder, 'index.html'), `<!doctype html>${html}`);
}

const TYPES: Record<string, string> = {
  ...{ '.js': 'text/javascript', '.html': 'text/html', '.wasm': 'application/wasm' },
};

/** Serves `/<name>/…` from the folder of that build, all else from the repository. */
const serve = (root: string): Server =>
  createServer(({ url }, response) => {
    const path = new URL(url!, 'http://here').pathname;
    const isBuilt = NAMES.some((name) => path.startsWith(`/${name}/`));
    const file = join(isBuilt ? root : ROOT, path.endsWith('/') ? `${path}index.html` : path);
    readFile(file).then(
      (body) =>
        response
          .writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
          .end(body),
      () => response.writeHead(404).end(),
    );
  });

browserDescribe('in a page', () => {
  let folder: string;
  let server: Server;
  let browser: Browser;
  let expected: unknown;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dag-page-'));
    server = serve(folder);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    browser = await openBrowser();
    setDefaultDevice('wasm');
    const model = await loadPretrained();
    const { values, refusals } = model.predictTexts([
      ...['2.5 * 3.0 + 1.0', 'twelve minus (three - 4.5)', 'What is -7 divided by 8?', '2 wombat 3'],
    ]);
    const evaluation = { examples: 20 };
    const training = new PredictorTraining(
      parseConfig({ ...predictorSmall, ...{ maxSteps: 2, batchSize: 8, logEvery: 1, evaluation } }),
    );
    const losses: number[] = [];
    await training.run({ onStep: ({ loss }) => losses.push(loss) });
    setDefaultDevice(undefined);
    expect([...values].slice(0, 3)).toEqual([8.5, 13.5, -0.875]);
    expected = {
      ...{ device: 'wasm', values: [8.5, 13.5, -0.875], refusals, losses, count: 20, isLoaded: true },
    };
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    await rm(folder, { recursive: true });
  });

  it.each(NAMES)('%s: a page predicts, and trains in a worker, to the bits of Node', async (name) => {
    const built = join(folder, name);
    await mkdir(built);
    await make(name, built);
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      // A browser asks for this by itself.
      if (message.type() === 'error' && !message.location().url?.endsWith('favicon.ico'))
        problems.push(message.text());
    });
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}/`);
    const there = await page
      .evaluate(() => (globalThis as unknown as { answer: Promise<unknown> }).answer)
      .catch(String);
    expect({ there, problems }).toEqual({ there: expected, problems: [] });
    await page.close();
  });

  it('Vite serves a page in development, from packages as they are installed', async () => {
    const project = join(folder, 'development');
    // Copies: the code of packages that are linked stays where it is.
    for (const name of ['expr', 'tensorize', 'executor', 'model'])
      for (const part of PARTS[name] ?? ['package.json', 'dist'])
        await cp(join(ROOT, 'packages', name, part), join(project, 'node_modules/@dag', name, part), {
          recursive: true,
        });
    const [, code] = /```js fragment\n(import \{ loadWasm[^]*?)```/.exec(readme)!;
    await writeFile(
      join(project, 'main.js'),
      code!.replace(/^(model\.predict.*?); \/\/.*/m, 'globalThis.answer = $1;'),
    );
    await writeFile(
      join(project, 'index.html'),
      '<!doctype html><script type="module" src="main.js"></script>',
    );
    const [options] = /optimizeDeps: [^`]*/.exec(readme)!;
    await writeFile(join(project, 'vite.config.js'), `export default { ${options} };`);
    const vite = spawn(process.execPath, [join(ROOT, 'node_modules/vite/bin/vite.js'), '--port', '0'], {
      cwd: project,
      env: { ...process.env, NO_COLOR: '1' },
    });
    try {
      const url = await new Promise<string>((found) => {
        let printed = '';
        vite.stdout.on('data', (data) => {
          printed += String(data);
          const [address] = /http:\/\/localhost:\d+\//.exec(printed) ?? [];
          if (address) found(address);
        });
      });
      const page = await browser.newPage();
      await page.goto(url);
      const answer = await page.waitForFunction(() => (globalThis as { answer?: number }).answer);
      expect(await answer.jsonValue()).toBe(8.5);
      await page.close();
    } finally {
      vite.kill();
      await once(vite, 'close');
    }
  });
});
