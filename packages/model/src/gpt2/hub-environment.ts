import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A variable of the environment; undefined where it is missing or blank. */
const variable = (name: string): string | undefined => process.env[name]?.trim() || undefined;

const LONGEST_TIMEOUT = 24 * 60 * 60;

/** The folder of huggingface_hub: cache, token and others. */
const home = (): string =>
  variable('HF_HOME') ?? join(variable('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');

/** Settings from the environment, with the names, precedence and defaults of huggingface_hub, the hub's own library. */
export const hubEnvironment = {
  url: (): string => (variable('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),

  cache: (): string => variable('HF_HUB_CACHE') ?? variable('HUGGINGFACE_HUB_CACHE') ?? join(home(), 'hub'),

  isOffline: (): boolean => isTrue('HF_HUB_OFFLINE'),

  /** Seconds after which a stalled connection is given up. */
  timeout: (): number => {
    const seconds = Number(variable('HF_HUB_DOWNLOAD_TIMEOUT'));
    // Capped, because timers of Node overflow above 2^31 ms and then fire at once.
    return seconds > 0 ? Math.min(seconds, LONGEST_TIMEOUT) : 30;
  },

  /** Proxies for http and https, and the hosts that are reached without them; null where none is set. */
  proxies(): { httpProxy: string; httpsProxy: string; noProxy: string } | null {
    const either = (name: string): string | undefined => variable(name) ?? variable(name.toUpperCase());
    const all = either('all_proxy');
    const httpProxy = either('http_proxy') ?? all;
    const httpsProxy = either('https_proxy') ?? httpProxy;
    if (httpsProxy === undefined) return null;
    return { httpProxy: httpProxy ?? '', httpsProxy, noProxy: either('no_proxy') ?? '' };
  },

  /** The user's access token; null where there is none. */
  async token(): Promise<string | null> {
    if (isTrue('HF_HUB_DISABLE_IMPLICIT_TOKEN')) return null;
    const given = variable('HF_TOKEN') ?? variable('HUGGING_FACE_HUB_TOKEN');
    if (given !== undefined) return given;
    const path = variable('HF_TOKEN_PATH') ?? join(home(), 'token');
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    return text.trim() || null;
  },
};

const isTrue = (name: string): boolean => /^(1|on|yes|true)$/i.test(variable(name) ?? '');
