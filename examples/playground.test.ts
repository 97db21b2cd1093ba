/** The page of examples/playground in a browser, built and served from a folder. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { PredictorModel } from '@dag/model';
import axe from 'axe-core';
import type { Browser, HTTPRequest, Page } from 'puppeteer-core';
import { browserDescribe, openBrowser } from '../packages/train/test/browser.js';
import { buildPage, serve, type Served } from './playground/serve.js';

browserDescribe('the playground', () => {
  let folder: string;
  let served: Served;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dag-playground-'));
    await buildPage(join(folder, 'page'));
    served = await serve(join(folder, 'page'));
    browser = await openBrowser();
    page = await browser.newPage();
    page.on('console', (message) => problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    const session = await page.createCDPSession();
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  });
  afterAll(async () => {
    await browser.close();
    served.close();
    await rm(folder, { recursive: true });
  });

  let problems: string[];
  let requests: string[];
  beforeEach(async () => {
    [problems, requests] = [[], []];
    await page.setViewport({ width: 1280, height: 900 });
  });
  afterEach(async () => {
    // Ends what the page does, a training among it.
    await page.goto('about:blank');
    expect(problems).toEqual([]);
    // Files that are saved have addresses of this page's own.
    const elsewhere = requests.filter(
      (url) => !url.startsWith(served.url) && !/^(about|blob|data):/.test(url),
    );
    expect(elsewhere).toEqual([]);
  });

  /** What is to be read at a selector, blanks as one. */
  const textAt = (selector: string): Promise<string> =>
    page.$eval(selector, (element) =>
      (element as unknown as { innerText: string }).innerText.replace(/\s+/g, ' ').trim(),
    );
  /** Waits until a text stands there; parts of drawings have no `innerText`. */
  const waitFor = (selector: string, text: string): Promise<unknown> => {
    const at = `document.querySelector(${JSON.stringify(selector)})`;
    const said = `(${at}?.innerText ?? ${at}?.textContent ?? '').replace(/\\s+/g, ' ')`;
    return page.waitForFunction(`${said}.includes(${JSON.stringify(text)})`, { timeout: 30_000 });
  };
  const open = async (text?: string): Promise<void> => {
    await page.goto(served.url + (text === undefined ? '' : `#${new URLSearchParams({ text })}`));
    await page.waitForSelector('#answer .rules');
    // The last part of the page.
    await page.waitForSelector('#lines');
  };
  const type = (text: string): Promise<void> =>
    page.$eval(
      '#text',
      (area, typed) => {
        (area as unknown as { value: string }).value = typed;
        area.dispatchEvent(new Event('input'));
      },
      text,
    );
  /** Types a value over that of a field of the inspector. */
  const edit = async (part: number, value: string): Promise<void> => {
    await page.click(`#part-${part}`, { count: 3 });
    await page.keyboard.type(value);
  };
  const press = async (...keys: Parameters<Page['keyboard']['press']>[0][]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const lit = (): Promise<string[]> =>
    page.$$eval('.lit:not([hidden] *)', (parts) => [
      ...new Set(parts.map((part) => part.closest('[id]')!.id)),
    ]);
  /** The bytes of a file that the page has saved. */
  const saved = async (name: string): Promise<Buffer> => {
    for (let i = 0; i < 600; i++) {
      const bytes = await readFile(join(folder, name)).catch(() => null);
      if (bytes) return bytes;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`${name} was not saved`);
  };

  /** What axe finds of the page as it is. */
  const seriousViolations = async (): Promise<unknown[]> => {
    await page.evaluate(axe.source);
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
    };
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]);
  };

  it('answers at once, with less than 3 MB', async () => {
    served.sent.clear();
    await page.goto(served.url);
    await waitFor('#answer', '= 3.4');
    const bytes = [...served.sent.values()].reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeLessThan(3_000_000);
  });

  it('says that it needs JavaScript', async () => {
    await page.setJavaScriptEnabled(false);
    await page.goto(served.url);
    await page.setJavaScriptEnabled(true);
    expect(await textAt('main')).toMatch(
      / Nothing you type leaves your browser\. This page needs JavaScript: [^.]+\.$/,
    );
  });

  it('says that it needs a server', async () => {
    await page.goto(pathToFileURL(join(folder, 'page', 'index.html')).href);
    expect(await textAt('#answer')).toMatch(/^Browsers run no modules from files: /);
    // The browser says so too.
    [problems, requests] = [[], []];
  });

  it('has the value of texts, and what rules make of them', async () => {
    await open('2.5 * 3 + 1');
    expect(await textAt('#answer')).toMatch(
      /^= 8\.5 99\.\d\d % sure By rules 8\.5, as 2\.5 \* 3 \+ 1\. They agree\.$/,
    );
    for (const [text, value] of [
      ['half of 15% of 80', '6'],
      ['the average of 2, 4 and 9', '5'],
      ['sqrt(16) + |3 - 10|', '11'],
      ['1 / 0', '∞'],
    ] as const) {
      await type(text);
      await waitFor('#answer', `= ${value} `);
    }
  });

  it('says why it refuses a text, and up to which token', async () => {
    await open('What is 2 + 3 times wombat?');
    expect(await textAt('#answer')).toMatch(
      /^Refused: the text has `wombat`, which this model has never seen\. /,
    );
    await page.hover('#tokens [data-key="4"]');
    await waitFor('#token-name', '5 of 9');
    await page.waitForSelector('#refused', { hidden: true });
    await page.hover('#tokens [data-key="5"]');
    await waitFor('#refused', 'an operator without what it needs on its right');
    await waitFor('#tokens .unseen', 'bat');
  });

  it('shows the plan at every token, by pointing, by the slider and by keys', async () => {
    await open('3 times (4 minus 1) squared');
    await waitFor('#expression', '3 * (4 - 1)^2 = 27');
    await page.hover('#tokens [data-key="6"]');
    await waitFor('#expression', '3 * (4 - 1) = 9');
    await page.hover('h1');
    await waitFor('#expression', '= 27');
    await page.focus('#token');
    await press('Home');
    await waitFor('#expression', '3 = 3');
    await page.focus('#tokens [data-key="0"]');
    await press('ArrowRight', 'ArrowRight', 'ArrowRight', 'Enter');
    await waitFor('#token-name', '4 of 8');
  });

  it('lights up the same thing in tokens, graph, steps, expression and tensors', async () => {
    await open('8 / (5 - 6)');
    await page.waitForSelector('#graph [data-key="n1"]');
    for (const from of ['#tokens [data-key="3"]', '#graph [data-key="n1"]', '#expression [data-refs="n1"]']) {
      // The plan of another token has another drawing.
      await page.hover('h1');
      await waitFor('#expression', '= −8');
      await page.hover(from);
      await page.waitForSelector(`${from}.lit`);
      expect((await lit()).sort()).toEqual(['expression', 'graph', 'steps', 'tensors', 'tokens']);
    }
    await page.hover('#tensors [data-refs~="s0:2"]');
    await page.waitForSelector('#graph .edge[data-key="s0:2"].lit');
  });

  it('executes step by step', async () => {
    await open('8 / (5 - 6)');
    await page.waitForSelector('#steps li');
    await page.click('#first');
    await waitFor('#executed', '0 of 2 steps');
    expect(await textAt('#steps')).toContain('s0 = n1 − n2 = ? s1 = n0 ÷ s0 = ?');
    await page.click('#on');
    await waitFor('#executed', '1 of 2 steps: s0 = n1 − n2 = −1');
    expect(await page.$$eval('#graph .waits .value', (values) => values.length)).toBe(1);
    await page.click('#on');
    await waitFor('#steps', 's1 = n0 ÷ s0 = −8 value = s1 = −8');
  });

  it('changes numbers, signs, coefficients and domains, and goes back', async () => {
    await open('8 / (5 - 6)');
    await page.waitForSelector('#graph [data-key="n0"]');
    await page.click('#gradients');
    // d(a / (b − c)) by a.
    await waitFor('#graph [data-key="n0"]', '∂ −1');
    await page.click('#graph [data-key="n2"]');
    await edit(0, '3');
    await waitFor('#expression', '8 / (5 - 3) = 4');
    await waitFor('#graph [data-key="n0"]', '∂ +0.5');
    await edit(1, '-1');
    await waitFor('#expression', '8 / (5 - -3) = 1');
    await page.click('#graph [data-key="s0:2"] text');
    await edit(0, '1');
    await waitFor('#expression', '8 / (5 + -3) = 4');
    await page.click('#tensors [data-selects="s0"]');
    await edit(0, '0.5');
    // Half of 5 − 3, and half of 5 · −3.
    await waitFor('#steps', 's0 = 0.500·(n1 + n2) + 0.500·(n1 × n2) = −6.5');
    expect(await textAt('#answer')).toMatch(/^= −8 /);
    await edit(0, 'NaN');
    await waitFor('#inspector', 'A finite number, such as 2.5.');
    await waitFor('#steps', '= −6.5');
    // Another plan is looked at, and nothing is lost.
    await page.hover('#tokens [data-key="0"]');
    await waitFor('#expression', '8 = 8');
    await page.hover('h1');
    await waitFor('#steps', '= −6.5');
    await edit(0, 'NaN');
    await waitFor('#inspector', 'A finite number, such as 2.5.');
    await page.click('#as-predicted');
    await waitFor('#expression', '8 / (5 - 6) = −8');
    expect(await textAt('#inspector')).not.toContain('A finite number');
    expect(await page.$eval('#as-predicted', (button) => button === document.activeElement)).toBe(true);
  });

  it('does all of it by keyboard', async () => {
    await open('8 / (5 - 6)');
    await press('Tab', 'Enter');
    expect(await page.$eval('#text', (text) => text === document.activeElement)).toBe(true);
    await page.waitForFunction(`location.hash.startsWith('#text=8')`);
    expect(await textAt('#answer')).toMatch(/^= −8 /);
    await page.waitForSelector('#graph [data-key="n0"]');
    await page.focus('#as-predicted');
    await press('Tab', 'ArrowRight', 'ArrowLeft', 'Enter');
    await page.waitForSelector('#part-0');
    expect(await page.$eval('#graph [data-key="n0"]', (node) => node === document.activeElement)).toBe(true);
    await page.focus('#part-0');
    await press('End', 'Backspace', '2');
    await waitFor('#expression', '2 / (5 - 6) = −2');
    await page.focus('#tensors [data-key]');
    await press('ArrowDown', 'ArrowDown', 'ArrowRight', 'Enter');
    await waitFor('#inspector', 'Coefficient of n1 in s0');
  });

  it('has what is typed in its address, and code that gives the same', async () => {
    await open();
    await type('7 - 2 * 3');
    await page.waitForFunction(`location.hash.includes('7+-+2')`);
    await page.goto('about:blank');
    await page.goBack();
    await waitFor('#answer', '= 1 ');
    await page.waitForSelector('#tensors [data-selects="n1"]');
    await page.click('#tensors [data-selects="n1"]');
    await edit(0, '2.5');
    await waitFor('#expression', '7 - 2.5 * 3 = −0.5');
    await page.click('#copy-code');
    const code = await page.$eval('#code pre', ({ textContent }) => textContent!);
    const root = fileURLToPath(new URL('..', import.meta.url));
    const run = ['--input-type=module', '--eval', code];
    const { stdout } = await promisify(execFile)('node', run, { cwd: root });
    expect(stdout).toBe('-0.5\n');
    await type('7');
    await page.click('#copy-code');
    await waitFor('#code pre', 'predict("7")');
    await page.click('#code button');
    await page.waitForSelector('#code', { hidden: true });
  });

  it('answers a word problem, and says which numbers its plan reads', async () => {
    await open('2 + 2');
    served.sent.clear();
    await page.click('[data-kind="problem"]');
    await waitFor('#answer', 'By the text alone');
    expect([...served.sent.keys()].filter((path) => path.endsWith('.safetensors'))).toHaveLength(1);
    expect(await page.$('#tokens:not([hidden] *)')).toBeNull();
    await type('Mia had 12 pears and ate 5 of them. How many are left?');
    await waitFor('#answer', '= 7 ');
    await waitFor('#expression', '12 - 5 = 7');
    expect(await page.$$eval('#numbers .used', (used) => used.map(({ textContent }) => textContent))).toEqual(
      [...['12', '5']],
    );
    await page.hover('#numbers [data-refs="n1"]');
    expect((await lit()).sort()).toEqual(['expression', 'graph', 'numbers', 'steps', 'tensors']);
    await page.click('#graph [data-key="n1"]');
    await edit(0, '2');
    await waitFor('#expression', '12 - 2 = 10');
    await type('How many sides has a square?');
    await waitFor('#answer', 'Refused: the text has no number in digits.');
    await page.waitForSelector('#plan', { hidden: true });
    await page.waitForFunction(`location.hash.endsWith('as=problem')`);
    await page.click('[data-kind="expression"]');
    await waitFor('#answer', '= 4 ');
    await page.click('[data-kind="problem"]');
    await waitFor('#answer', 'Refused: the text has no number in digits.');
  });

  it('goes on with a text, and has the plan of each number that it computes', async () => {
    await page.goto(`${served.url}#${new URLSearchParams({ as: 'text', text: '48 / 2 = ' })}`);
    await waitFor('#answer', ' computed.');
    expect(await textAt('#written')).toMatch(/^48 \/ 2 = 24/);
    await page.click('#written [data-computed="0"]');
    await waitFor('#expression', '48 / 2 = 24');
    expect(
      await page.$eval('#written [data-computed="0"]', (button) => button.getAttribute('aria-pressed')),
    ).toBe('true');
    await page.click('#copy-code');
    await waitFor('#code pre', `await loadPretrained('writing')`);
  });

  it('breaks on no text', async () => {
    await open();
    for (const [text, said] of [
      ['', 'Type some arithmetic'],
      [' \n ', 'Type some arithmetic'],
      ['1'.repeat(5000), 'Refused: the text has 1251 tokens'],
      ['1 + 2 😀', 'Refused: the text has `😀`'],
      ['<img src=x onerror=alert(1)> 3', 'Refused: the text has'],
      [Array(100).fill('1').join(' + '), '= 100'],
      ['2 + 2', '= 4'],
    ] as const) {
      await type(text);
      await waitFor('#answer', said);
    }
    expect(await page.$('img')).toBeNull();
    await waitFor('#expression', '2 + 2 = 4');
  });

  it('reads the lines of a file into a table and a CSV', async () => {
    await open();
    const input = (await page.waitForSelector('#file')) as NonNullable<
      Awaited<ReturnType<typeof page.$<'input'>>>
    >;
    const choose = async (content: string | Buffer): Promise<void> => {
      await writeFile(join(folder, 'lines.txt'), content);
      await input.uploadFile(join(folder, 'lines.txt'));
    };
    await choose('1 + 2\r\n\nadd 3, "4" and 5\n7 plus\n-1 + 2\n"1,000 + 2"\n');
    await waitFor('#lines-said', '5 texts: 3 read, 2 refused.');
    expect(await textAt('#rows tbody tr:first-child')).toMatch(/^1 \+ 2 3 9\d\.\d\d %$/);
    await page.click('#csv');
    const [head, first, second, third, fourth, fifth] = (await saved('values.csv')).toString().split('\r\n');
    expect(head).toBe('text,value,confidence,refused');
    expect(first).toMatch(/^1 \+ 2,3,0\.9\d+,$/);
    expect(second).toMatch(/^"add 3, ""4"" and 5",,/);
    expect(third).toMatch(/^7 plus,,[\d.e-]+,the text cannot be read/);
    // Not a formula of a spreadsheet.
    expect(fourth).toMatch(/^'-1 \+ 2,1,/);
    expect(fifth).toMatch(/^"1,000 \+ 2",1002,/);
    await choose(Buffer.from('\ufeff1 + 2\r\n3 + 4\r\n', 'utf16le'));
    await waitFor('#lines-said', '2 texts: 2 read, 0 refused.');
    await choose(Buffer.from([0x31, 0x20, 0xd7, 0x20, 0x32]));
    await waitFor('#lines-said', 'lines.txt is no text in UTF-8.');
    await choose('1 + 1\n'.repeat(1_000_000));
    await waitFor('#lines-said', 'lines.txt has 6.0 MB; this page reads up to 4 MB.');
  });

  it('reads another list in place of the one that it reads', async () => {
    await open();
    const read = (text: string): Promise<void> =>
      page.evaluate(
        `document.getElementById('lines').value = ${JSON.stringify(text)}; document.getElementById('read-lines').click()`,
      ) as Promise<void>;
    await read('1 + 1\n'.repeat(20_000));
    await waitFor('#lines-said', 'of 20000 texts');
    await read('2 + 2');
    await waitFor('#lines-said', '1 text: 1 read, 0 refused.');
    // The first one would have said what it read by now.
    await type('3 + 3');
    await waitFor('#expression', '3 + 3 = 6');
    expect(await textAt('#lines-said')).toBe('1 text: 1 read, 0 refused.');
  });

  it('trains a model that answers the text, stops, goes on, and gives its weights', async () => {
    await open('1 + 2');
    await page.setRequestInterception(true);
    const offline = (request: HTTPRequest): void =>
      void (request.url().includes('training-worker') ? request.abort() : request.continue());
    page.on('request', offline);
    await page.click('#train');
    await waitFor('#trained', 'It cannot go on: the worker cannot be loaded.');
    page.off('request', offline);
    await page.setRequestInterception(false);
    await page.click('#train');
    const figures = async () => ({
      step: Number(/Step (\d+)/.exec(await textAt('#trained'))?.[1]),
      loss: Number(/[\d.]+$/.exec(await textAt('#training-shown .chart:first-child figcaption'))),
    });
    await waitFor('#trained', 'Step 5 ');
    const { loss } = await figures();
    await page.waitForFunction(
      `Number(/[\\d.]+$/.exec(document.querySelector('.chart figcaption').innerText)) < ${loss / 2}`,
      { timeout: 120_000 },
    );
    await waitFor('.half', 'It reads your text as');
    await page.click('#train');
    await waitFor('#train', 'Go on');
    const stopped = await figures();
    await page.click('#weights');
    const model = PredictorModel.load(await saved('predictor-small.safetensors'));
    // Half trained, it may not be sure enough of its reading to answer.
    const value = model.predictTexts(['1 + 2']).values[0]!;
    expect(await textAt('.half')).toContain(String(Number(value.toPrecision(8))).replace('-', '−'));
    await page.click('#train');
    await page.waitForFunction(
      `Number(/Step (\\d+)/.exec(document.querySelector('#trained').innerText)[1]) > ${stopped.step}`,
    );
    expect((await figures()).step).toBeGreaterThan(stopped.step);
  });

  it.each(['problem', 'text'])('is accessible where it shows a %s, and fits a telephone', async (kind) => {
    await page.goto(`${served.url}#as=${kind}`);
    await waitFor('#answer', kind === 'text' ? ' computed.' : 'By the text alone');
    expect(await seriousViolations()).toEqual([]);
    await page.setViewport({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  });

  it.each(['light', 'dark'])('is accessible in %s, and fits a telephone', async (scheme) => {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await open('8 / (5 - 6) + 2 wombat');
    await page.click('#gradients');
    await page.click('#copy-code');
    await page.waitForSelector('#graph [data-key="n0"]');
    await page.click('#graph [data-key="n0"]');
    await page.waitForSelector('#part-1');
    expect(await seriousViolations()).toEqual([]);
    await page.setViewport({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    const dark = await page.evaluate(`getComputedStyle(document.body).backgroundColor`);
    await page.click('#theme');
    expect(await page.evaluate(`getComputedStyle(document.body).backgroundColor`)).not.toBe(dark);
  });
});
