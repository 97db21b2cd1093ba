import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher, fetch, Response } from 'undici';
import { hubEnvironment } from './hub-environment.js';

/** The hub did not answer; the message says why. */
export class Unreachable extends Error {}

/** The hub answered with an error status. */
export class Refused extends Error {
  readonly status: number;

  constructor(url: string, status: number, detail = '') {
    super(`${url} answered ${status}${detail}`);
    this.status = status;
  }
}

/** Limit on answers of the API, which have some kilobytes. */
const MOST_ANSWER_BYTES = 4_000_000;
/** A connection with fewer bytes a second counts as stalled. */
const LEAST_RATE = 1000;
/** Attempts of a request, where the server is busy or the connection breaks off. */
export const TRIES = 3;
/** Longest `Retry-After` that is waited for, in seconds. */
const LONGEST_REST = 300;
const BUSY = [429, 500, 502, 503, 504];
const REDIRECTS = [301, 302, 303, 307, 308];
const MOST_REDIRECTS = 5;

interface Request {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An HTTP client of a hub. Uses the proxies of HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and the user's token. */
export class HubClient {
  readonly #hub: string;
  readonly #token: string | null;
  readonly #fetch: typeof fetch;
  readonly #proxy: Dispatcher;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    hub: string,
    token: string | null,
    through: { fetch: typeof fetch; proxy: Dispatcher },
    signal: AbortSignal | undefined,
  ) {
    this.#hub = hub;
    this.#token = token;
    this.#fetch = through.fetch;
    this.#proxy = through.proxy;
    this.#signal = signal;
  }

  static async open(hub: string, signal: AbortSignal | undefined): Promise<HubClient> {
    // Loaded on demand: most users of this package download nothing.
    const { fetch, Agent, EnvHttpProxyAgent } = await import('undici');
    const proxies = hubEnvironment.proxies();
    const token = await hubEnvironment.token();
    return new HubClient(
      hub,
      token,
      { fetch, proxy: proxies ? new EnvHttpProxyAgent(proxies) : new Agent() },
      signal,
    );
  }

  async close(): Promise<void> {
    await this.#proxy.destroy();
  }

  /** Requests a path of the hub and parses its answer as JSON. */
  async json(path: string, request: Request = {}): Promise<unknown> {
    const url = this.#hub + path;
    const parts: Uint8Array[] = [];
    let bytes = 0;
    await this.read(url, request, async (body) => {
      for await (const part of body) {
        bytes += part.length;
        if (bytes > MOST_ANSWER_BYTES)
          throw new Error(`${url} answers with more than ${MOST_ANSWER_BYTES} bytes`);
        parts.push(part);
      }
    });
    try {
      return JSON.parse(Buffer.concat(parts).toString());
    } catch (cause) {
      throw new Error(`${url} does not answer with JSON`, { cause });
    }
  }

  /**
   * Makes a request and calls `use` with the body and the status of the answer. Aborts where fewer than LEAST_RATE bytes a second
   * arrive for HF_HUB_DOWNLOAD_TIMEOUT seconds.
   */
  async read(
    url: string,
    request: Request,
    use: (body: AsyncIterable<Uint8Array>, status: number) => Promise<void>,
  ): Promise<void> {
    const seconds = hubEnvironment.timeout();
    const watch = new AbortController();
    let arrived = 0;
    const slow = new Unreachable(`fewer than ${LEAST_RATE} bytes a second for ${seconds} s, from ${url}`);
    const check = (): void => {
      if (arrived < LEAST_RATE * seconds) watch.abort(slow);
      arrived = 0;
    };
    const stop = (): void => watch.abort();
    let timer = setInterval(check, 1000 * seconds);
    async function* counted({ body }: Response): AsyncGenerator<Uint8Array> {
      for await (const part of (body ?? []) as AsyncIterable<Uint8Array>) {
        arrived += part.length;
        yield part;
      }
    }
    try {
      this.#signal?.throwIfAborted();
      this.#signal?.addEventListener('abort', stop);
      const response = await this.#ask(url, request, watch.signal, () => {
        clearInterval(timer);
        timer = setInterval(check, 1000 * seconds);
      });
      await use(counted(response), response.status);
    } catch (error) {
      throw watch.signal.reason === slow ? slow : error;
    } finally {
      clearInterval(timer);
      this.#signal?.removeEventListener('abort', stop);
      watch.abort();
    }
  }

  /** Follows redirects, and retries where the server is busy. */
  async #ask(url: string, request: Request, signal: AbortSignal, onAnswer: () => void): Promise<Response> {
    let busy = 0;
    let redirects = 0;
    let at = url;
    for (;;) {
      const response = await this.#send(at, request, signal);
      onAnswer();
      const { status, headers } = response;
      if (response.ok) return response;
      await response.body?.cancel();
      const location = headers.get('location');
      if (REDIRECTS.includes(status) && location !== null) {
        if (redirects++ === MOST_REDIRECTS)
          throw new Refused(url, status, `, and leads on after ${MOST_REDIRECTS} redirections`);
        if (!URL.canParse(location, at)) throw new Refused(url, status, ', and leads to no address');
        at = new URL(location, at).href;
        continue;
      }
      if (!BUSY.includes(status)) throw new Refused(url, status, reasonOf(status, this.#token));
      if (++busy === TRIES) throw new Refused(url, status, `, ${TRIES} times`);
      const rest = restOf(headers.get('retry-after')) ?? 2 ** (busy - 1);
      if (rest > LONGEST_REST)
        throw new Refused(url, status, `: it can be asked again in ${Math.ceil(rest)} s`);
      // The rate of arriving bytes is not watched during the pause.
      for (let left = rest; left > 0; left--) {
        await sleep(1000 * Math.min(left, 1), undefined, { signal });
        onAnswer();
      }
      at = url;
      redirects = 0;
    }
  }

  async #send(
    url: string,
    { method = 'GET', headers, body }: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    try {
      // The token goes to the hub only. Redirects lead to URLs that carry their own permission.
      const isHub = new URL(url).origin === new URL(this.#hub).origin;
      return await this.#fetch(url, {
        method,
        redirect: 'manual',
        headers: {
          ...headers,
          ...(isHub && this.#token !== null ? { Authorization: `Bearer ${this.#token}` } : {}),
        },
        ...(body === undefined ? {} : { body }),
        signal,
        dispatcher: this.#proxy,
      });
    } catch (error) {
      // The message is `fetch failed`; its cause has the reason, or only a code where several addresses were tried.
      const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
      throw new Unreachable(message || code, { cause: error });
    }
  }
}

const reasonOf = (status: number, token: string | null): string => {
  if (status !== 401 && status !== 403) return '';
  return token === null ? ', and HF_TOKEN is not set' : ': the token in HF_TOKEN or its file gives no access';
};

/** The seconds of a `Retry-After` header, which may be a date; null where there is none. */
function restOf(header: string | null): number | null {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
