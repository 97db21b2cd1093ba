import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from '@jest/globals';
import { launch, type Browser } from 'puppeteer-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** PUPPETEER_EXECUTABLE_PATH, or what is found on PATH. */
const executablePath =
  process.env['PUPPETEER_EXECUTABLE_PATH'] ||
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));

/** Tests that need a browser. */
export const browserDescribe = (name: string, tests: () => void): void =>
  executablePath === undefined
    ? describe.skip(
        `${name} (skipped: no ${NAMES.join(', ')} on PATH, and no PUPPETEER_EXECUTABLE_PATH)`,
        tests,
      )
    : describe(name, tests);

export async function openBrowser(): Promise<Browser> {
  // Chromium's sandbox refuses to run for root, as in most containers.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  // A sanitizer that these tests run under is not for the browser, which does not start with it.
  const env = { ...process.env, LD_PRELOAD: undefined };
  return launch({ executablePath: executablePath!, args, env, timeout: 60_000 });
}
