/** Prints the figures of the page as JSON: times of the first answer, of a keystroke and of a training, and bytes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from 'puppeteer-core';
import { buildPage, serve } from './serve.js';

const EIGHT = '12.5 + 3 * (4 - 7) / 2 - 15 * 3 + 8 - 6.25';

/** Milliseconds from an input until its answer stands in the page. */
const TIME_ANSWERS = `
  globalThis.took = [];
  let began = 0;
  document.getElementById('text').addEventListener('input', () => (began = performance.now()), { capture: true });
  new MutationObserver(() => {
    if (began > 0) took.push(performance.now() - began);
    began = 0;
  }).observe(document.getElementById('answer'), { childList: true, subtree: true });`;

const folder = await mkdtemp(join(tmpdir(), 'dag-playground-'));
await buildPage(folder);
const served = await serve(folder);
const executablePath = process.env['PUPPETEER_EXECUTABLE_PATH'] ?? '/usr/bin/chromium';
const browser = await launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
try {
  const page = await browser.newPage();
  const firstAnswer = async (): Promise<number> => {
    const began = performance.now();
    await page.goto(served.url);
    await page.waitForSelector('#answer .value');
    return Math.round(performance.now() - began);
  };
  const emptyCache = await firstAnswer();
  const gzippedBytes = [...served.sent.values()].reduce((sum, size) => sum + size, 0);
  await page.waitForSelector('#lines');
  await page.goto('about:blank');
  const fullCache = await firstAnswer();
  await page.waitForSelector('#train');

  await page.evaluate(TIME_ANSWERS);
  await page.$eval('#text', (text) => ((text as unknown as { value: string }).value = ''));
  await page.type('#text', EIGHT, { delay: 250 });
  const took = ((await page.evaluate('took')) as number[]).slice(-12).sort((a, b) => a - b);

  await page.click('#train');
  await page.waitForFunction(`document.getElementById('trained').innerText.includes('Nine of ten')`, {
    timeout: 600_000,
  });
  const trained = await page.$eval('#trained', ({ textContent }) => textContent);
  console.log(
    JSON.stringify({
      firstAnswerMs: { emptyCache, fullCache },
      gzippedBytes,
      keystrokeMs: { median: took[6], most: took.at(-1) },
      secondsTo90Percent: Number(/after (\d+) s/.exec(trained ?? '')?.[1]),
    }),
  );
} finally {
  await browser.close();
  served.close();
  await rm(folder, { recursive: true });
}
