import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher, fetch, Response } from 'undici';
import { hubEnvironment } from './hub-environment.js';

/** No answer; the message says why. */
export class Unreachable extends Error {}

/** An answer that is an error. */
export class Refused extends Error {
  readonly status: number;

  constructor(url: string, status: number, detail = '') {
    super(`${url} answered ${status}${detail}`);
    this.status = status;
  }
}

/** Answers of the API are some kilobytes. */
const MOST_ANSWER_BYTES = 4_000_000;
/** Fewer bytes a second are a connection that does not get anywhere. */
const LEAST_RATE = 1000;
/** Requests that a busy server puts off, or that break off, are made so many times. */
export const TRIES = 3;
/** A server that asks for a longer rest is not waited for, in seconds. */
const LONGEST_REST = 300;
const BUSY = [429, 500, 502, 503, 504];
const REDIRECTS = [301, 302, 303, 307, 308];
const MOST_REDIRECTS = 5;

interface Request {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Asks a hub, through a proxy where HTTPS_PROXY, HTTP_PROXY and NO_PROXY say so, and by the token of who asks. */
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
    // Loaded here: most who import this package download nothing.
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

  /** The JSON that a path of the hub answers with. */
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
   * Makes a request and gives the body of what answers it to `use`, with the status. Ended where fewer than LEAST_RATE bytes a
   * second arrive for as long as HF_HUB_DOWNLOAD_TIMEOUT says.
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

  /** Follows redirections, and asks again where a server is busy. */
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
      // The watch over the rate is no watch over a rest.
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
      // The token is for the hub alone: what a redirection leads to has an address that says who may read it.
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
      // `fetch failed`; its cause says why, or where several addresses were tried a code alone.
      const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
      throw new Unreachable(message || code, { cause: error });
    }
  }
}

const reasonOf = (status: number, token: string | null): string => {
  if (status !== 401 && status !== 403) return '';
  return token === null ? ', and HF_TOKEN is not set' : ': the token in HF_TOKEN or its file gives no access';
};

/** Seconds that a `Retry-After` asks for; null where there is none. */
function restOf(header: string | null): number | null {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
