/** Builds the page and serves its folder, for its tests and for its figures. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
};

/** Builds the page into `folder` from the built packages. */
export async function buildPage(folder: string): Promise<void> {
  const vite = ['vite', 'build', '--outDir', folder, '--emptyOutDir', '--logLevel', 'error'];
  await promisify(execFile)('npx', vite, { cwd: fileURLToPath(new URL('.', import.meta.url)) });
}

export interface Served {
  /** Address of the page, in a folder of the server. */
  readonly url: string;
  /** Bytes that the server has sent, gzipped, by path. */
  readonly sent: Map<string, number>;
  close(): void;
}

/** Serves a folder under `/in/a/folder/`, gzipped, as a static host does. */
export async function serve(folder: string): Promise<Served> {
  const base = '/in/a/folder/';
  const zipped = new Map<string, Buffer>();
  const sent = new Map<string, number>();
  const server = createServer((request, response) => {
    void (async () => {
      const { pathname } = new URL(request.url!, 'http://localhost');
      try {
        if (!pathname.startsWith(base)) throw new Error('outside');
        const path =
          normalize(pathname.slice(base.length)) === '.' ? 'index.html' : pathname.slice(base.length);
        const body = zipped.get(path) ?? gzipSync(await readFile(join(folder, path)));
        zipped.set(path, body);
        sent.set(path, body.length);
        response
          .writeHead(200, {
            'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
            'content-encoding': 'gzip',
            'cache-control': 'max-age=600',
          })
          .end(body);
      } catch {
        response.writeHead(404).end();
      }
    })();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}${base}`, sent, close: () => void server.close() };
}
