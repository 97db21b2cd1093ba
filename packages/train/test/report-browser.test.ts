import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, Page } from 'puppeteer-core';
import { reportPage } from '../src/reports/page.js';
import { browserDescribe, openBrowser } from './browser.js';
import { exampleReport, NAME } from './report.js';

const FIGURES = `[...document.querySelectorAll('[data-chart]')]`;
/** How many pixels of each chart's canvas are painted. */
const PAINTED = `${FIGURES}.map((figure) => {
  const { width, height } = figure.querySelector('canvas');
  const { data } = figure.querySelector('canvas').getContext('2d').getImageData(0, 0, width, height);
  return data.filter((v, i) => i % 4 === 3 && v > 0).length;
})`;
const PICTURES = `${FIGURES}.map((figure) => figure.querySelector('canvas').toDataURL())`;

browserDescribe('the page of a run in a browser', () => {
  let folder: string;
  let url: string;
  let browser: Browser;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dag-report-'));
    const file = join(folder, 'report.html');
    await writeFile(file, await reportPage(await exampleReport()));
    url = pathToFileURL(file).href;
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  let page: Page;
  let problems: string[];
  let requests: string[];
  beforeEach(async () => {
    page = await browser.newPage();
    [problems, requests] = [[], []];
    page.on('console', (message) => problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.setViewport({ width: 1280, height: 900 });
  });
  afterEach(async () => {
    await page.close();
    expect(problems).toEqual([]);
    expect([...new Set(requests)]).toEqual([url]);
  });

  const ask = (script: string): Promise<unknown> => page.evaluate(script);

  it('draws every chart, with lines on it', async () => {
    await page.goto(url);
    expect(await ask(`${FIGURES}.map((f) => f.closest('figure').querySelector('h3').textContent)`)).toEqual([
      'Total loss',
      'Loss by component',
      'Held-out accuracy',
      'Held-out accuracy by number of operations',
      'Learning rate',
      'Gradient norm',
      'Throughput',
    ]);
    const sizes = (await ask(
      `${FIGURES}.map((f) => [f.querySelector('canvas').clientWidth, f.querySelector('canvas').clientHeight])`,
    )) as number[][];
    for (const [width, height] of sizes) {
      expect(width).toBeGreaterThan(250);
      expect(height).toBeGreaterThan(200);
    }
    for (const painted of (await ask(PAINTED)) as number[]) expect(painted).toBeGreaterThan(1000);
  });

  it('shows the last values in the legends, and those under the cursor where it is', async () => {
    await page.goto(url);
    const legend = `document.querySelector('[data-chart="0"] .u-legend').innerText.replaceAll(/\\s/g, '')`;
    expect(await ask(legend)).toBe('step120loss0.008333');
    await page.mouse.move(0, 0);
    const place = await page.$('[data-chart="0"] .u-over');
    const { x, y } = (await place!.boundingBox())!;
    await page.mouse.move(x + 1, y + 50);
    expect(await ask(legend)).toBe('step1loss1');
    await page.mouse.move(x - 200, y + 50);
    expect(await ask(legend)).toBe('step120loss0.008333');
  });

  it('draws both plans of every example', async () => {
    await page.goto(url);
    expect(await ask(`document.querySelectorAll('.example').length`)).toBe(2);
    const boxes = (await ask(
      `[...document.querySelectorAll('svg.plan')].map((svg) => svg.querySelector('.result rect').getBoundingClientRect().width)`,
    )) as number[];
    expect(boxes).toHaveLength(4);
    for (const width of boxes) expect(width).toBeGreaterThan(40);
  });

  it('is dark where the reader has a dark scheme, and changes with it', async () => {
    const background = `getComputedStyle(document.body).backgroundColor`;
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
    await page.goto(url);
    expect(await ask(background)).toBe('rgb(246, 246, 243)');
    const light = (await ask(PICTURES)) as string[];
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    expect(await ask(background)).toBe('rgb(16, 18, 21)');
    await page.waitForFunction(`${PICTURES}[0] !== ${JSON.stringify(light[0])}`);
    const dark = (await ask(PICTURES)) as string[];
    dark.forEach((picture, i) => expect(picture).not.toBe(light[i]));
  });

  it('is printed in light colours', async () => {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    await page.goto(url);
    const dark = (await ask(PICTURES)) as string[];
    await page.emulateMediaType('print');
    await page.waitForFunction(`${PICTURES}[0] !== ${JSON.stringify(dark[0])}`);
    expect(await ask(`getComputedStyle(document.body).backgroundColor`)).toBe('rgb(255, 255, 255)');
    expect(await ask(`getComputedStyle(document.body).color`)).toBe('rgb(27, 29, 33)');
  });

  it('fits a narrow screen, and charts follow its width', async () => {
    await page.goto(url);
    await page.setViewport({ width: 400, height: 800 });
    await page.waitForFunction(`${FIGURES}.every((f) => f.querySelector('canvas').clientWidth < 400)`);
    expect(await ask('document.documentElement.scrollWidth')).toBe(400);
    for (const painted of (await ask(PAINTED)) as number[]) expect(painted).toBeGreaterThan(500);
  });

  it('takes what a run holds for text, whatever it is', async () => {
    await page.goto(url);
    expect(await page.title()).toBe(`${NAME} · training run`);
    expect(await ask(`document.querySelector('h1').textContent`)).toBe(NAME);
    expect(await ask(`document.querySelectorAll('img, h1 *, pre *').length`)).toBe(0);
    expect(await ask('globalThis.hacked')).toBe(undefined);
  });

  it('runs no script but its own, even where one got into it', async () => {
    await page.goto(url);
    await ask(
      `void document.body.append(Object.assign(document.createElement('script'), { text: 'globalThis.hacked = 1' }))`,
    );
    expect(await ask('globalThis.hacked')).toBe(undefined);
    expect(problems.splice(0).join()).toMatch(/Content Security Policy/);
  });

  it('shows plans and scores without scripts, and says what is missing', async () => {
    await page.setJavaScriptEnabled(false);
    await page.goto(url);
    expect(await page.$$('svg.plan')).toHaveLength(4);
    expect(await page.$eval('main', (main) => main.innerText)).toMatch(/The charts need scripts/);
  });
});
