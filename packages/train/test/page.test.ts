/** Models in a page: the shipped one answers, and a small one is trained, on WebAssembly. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { setDefaultDevice } from '@dag/executor';
import { build } from 'esbuild';
import { browserDescribe, openBrowser } from './browser.js';
import { predictAll, trainSmall } from './page-program.js';

type Executor = Pick<typeof import('../../executor/src/wasm.js'), 'loadWasm'> &
  Pick<typeof import('@dag/executor'), 'backendInfo'>;
type Program = typeof import('./page-program.js') & Executor;

const WEIGHTS = fileURLToPath(new URL('../../model/weights/reading/model.safetensors', import.meta.url));
const WASM = fileURLToPath(new URL('../../executor/native/wasm/dag_executor.wasm', import.meta.url));
const TEXTS = ['2.5 * 3.0 + 1.0', 'twelve minus (three - 4.5)', 'What is -7 divided by 8?'];
const STEPS = 3;

browserDescribe('in a page', () => {
  let server: Server;
  beforeAll(async () => {
    const here = fileURLToPath(new URL('.', import.meta.url));
    const contents = `export * from './page-program.js'; export { loadWasm } from '@dag/executor/wasm';
      export { backendInfo } from '@dag/executor';`;
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: here },
      bundle: true,
      format: 'esm',
      platform: 'browser',
      write: false,
      logLevel: 'error',
    });
    const files = new Map<string, readonly [type: string, body: Uint8Array]>([
      ['/', ['text/html', Buffer.from('<!doctype html>')]],
      ['/program.js', ['text/javascript', outputFiles[0]!.contents]],
      ['/model.safetensors', ['application/octet-stream', await readFile(WEIGHTS)]],
      ['/dag_executor.wasm', ['application/wasm', await readFile(WASM)]],
    ]);
    server = createServer(({ url }, response) => {
      const [type, body] = files.get(url!) ?? [];
      if (type === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': type }).end(body);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  afterAll(() => void server.close());

  it('the shipped model answers and a small one learns, to the bits of Node', async () => {
    setDefaultDevice('wasm');
    const expected = { values: predictAll(await readFile(WEIGHTS), TEXTS), losses: await trainSmall(STEPS) };
    setDefaultDevice(undefined);
    expect(expected.values).toEqual([8.5, 13.5, -0.875]);
    const browser = await openBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const there = await page.evaluate(
        async (texts: string[], steps: number) => {
          const program = (await import('/program.js' as string)) as Program;
          await program.loadWasm({ url: '/dag_executor.wasm' });
          const response = await fetch('/model.safetensors');
          const weights = new Uint8Array(await response.arrayBuffer());
          return {
            device: program.backendInfo().device,
            values: program.predictAll(weights, texts),
            losses: await program.trainSmall(steps),
          };
        },
        TEXTS,
        STEPS,
      );
      expect(there).toEqual({ device: 'wasm', ...expected });
    } finally {
      await browser.close();
    }
  });
});
