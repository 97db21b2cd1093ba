import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A variable of the environment; undefined where it is empty, too. */
const variable = (name: string): string | undefined => process.env[name]?.trim() || undefined;

const LONGEST_TIMEOUT = 24 * 60 * 60;

/** Where programs of the hub keep what is theirs. */
const home = (): string =>
  variable('HF_HOME') ?? join(variable('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');

/** Names, order and defaults are those of huggingface_hub, the hub's own library. */
export const hubEnvironment = {
  url: (): string => (variable('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),

  cache: (): string => variable('HF_HUB_CACHE') ?? variable('HUGGINGFACE_HUB_CACHE') ?? join(home(), 'hub'),

  isOffline: (): boolean => isTrue('HF_HUB_OFFLINE'),

  /** Seconds in which something has to arrive. */
  timeout: (): number => {
    const seconds = Number(variable('HF_HUB_DOWNLOAD_TIMEOUT'));
    // A longer one is more than a timer of Node counts, which would then end at once.
    return seconds > 0 ? Math.min(seconds, LONGEST_TIMEOUT) : 30;
  },

  /** Proxies for http and https, and the hosts that are asked without them; null where there are none. */
  proxies(): { httpProxy: string; httpsProxy: string; noProxy: string } | null {
    const either = (name: string): string | undefined => variable(name) ?? variable(name.toUpperCase());
    const all = either('all_proxy');
    const httpProxy = either('http_proxy') ?? all;
    const httpsProxy = either('https_proxy') ?? httpProxy;
    if (httpsProxy === undefined) return null;
    return { httpProxy: httpProxy ?? '', httpsProxy, noProxy: either('no_proxy') ?? '' };
  },

  /** What says who asks; null where nobody does. */
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
