import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Commit of every repository here. */
export const COMMIT = '607a30d783dfa663caf39e06633721c8d4cfcd7e';

export interface HubServer {
  readonly url: string;
  /** What was asked for: method and path. */
  readonly requests: readonly string[];
  /** The headers of the same. */
  readonly headers: readonly IncomingHttpHeaders[];
  close(): Promise<void>;
}

/** What a server does with the bytes of a file, instead of sending them; 'send': it sends them all the same. */
export type Fault = (response: ServerResponse, bytes: Uint8Array, request: IncomingMessage) => unknown;

/**
 * A server with one repository, which speaks as the Hugging Face hub does: its API names the commit and the sizes and
 * hashes of files (those of weights are in LFS), and files in LFS are sent from another place that the first leads to.
 */
export async function serveHub(
  repository: string,
  files: ReadonlyMap<string, Uint8Array>,
  faults: ReadonlyMap<string, Fault> = new Map(),
): Promise<HubServer> {
  const requests: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url!.split('?')[0]}`);
    headers.push(request.headers);
    void answer(request, response, repository, files, faults);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    headers,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  repository: string,
  files: ReadonlyMap<string, Uint8Array>,
  faults: ReadonlyMap<string, Fault>,
): Promise<void> {
  const { pathname } = new URL(request.url!, 'http://hub');
  const json = (value: unknown, status = 200, headers = {}): void =>
    void response
      .writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', ...headers })
      .end(JSON.stringify(value));
  const busy = pathname.startsWith('/api/') ? faults.get('api') : undefined;
  if (busy && busy(response, new Uint8Array(), request) !== 'send') return;
  if (pathname === `/api/models/${repository}/revision/main`)
    return json({ _id: '621ffdc036468d709f17434d', id: repository, sha: COMMIT, lastModified: '2024-02-19' });
  if (pathname === `/api/models/${repository}/paths-info/${COMMIT}` && request.method === 'POST') {
    const { paths } = JSON.parse(await bodyOf(request)) as { paths: string[] };
    return json(paths.filter((path) => files.has(path)).map((path) => infoOf(path, files.get(path)!)));
  }
  const resolved = `/${repository}/resolve/${COMMIT}/`;
  const file = pathname.startsWith(resolved) ? pathname.slice(resolved.length) : pathname.split('/cdn/')[1];
  const bytes = file === undefined ? undefined : files.get(file);
  if (file === undefined || bytes === undefined)
    return json({ error: 'Repository not found' }, 404, { 'X-Error-Code': 'RepoNotFound' });
  const { oid, lfs } = infoOf(file, bytes);
  const headers = { ETag: `"${lfs?.oid ?? oid}"`, 'X-Repo-Commit': COMMIT, 'Accept-Ranges': 'bytes' };
  if (lfs && pathname.startsWith(resolved)) {
    const linked = {
      'X-Linked-Size': bytes.length,
      'X-Linked-Etag': `"${lfs.oid}"`,
      Location: `/cdn/${file}`,
    };
    return void response.writeHead(302, { ...headers, ...linked }).end();
  }
  const fault = faults.get(file);
  if (fault && fault(response, bytes, request) !== 'send') return;
  const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  if (from !== undefined) {
    const rest = bytes.subarray(Number(from));
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    const partial = { 'Content-Range': range, 'Content-Length': rest.length };
    return void response.writeHead(206, { ...headers, ...partial }).end(rest);
  }
  response.writeHead(200, { ...headers, 'Content-Length': bytes.length }).end(bytes);
}

/** What the hub's API says of a file. */
function infoOf(path: string, bytes: Uint8Array): PathInfo {
  const size = bytes.length;
  const oid = createHash('sha1').update(`blob ${size}\0`).update(bytes).digest('hex');
  if (!path.endsWith('.safetensors')) return { type: 'file', oid, size, path };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { type: 'file', oid, size, path, lfs: { oid: sha256, size, pointerSize: 134 } };
}

interface PathInfo {
  readonly type: 'file';
  readonly oid: string;
  readonly size: number;
  readonly path: string;
  readonly lfs?: { readonly oid: string; readonly size: number; readonly pointerSize: number };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}
