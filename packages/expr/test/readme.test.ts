import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import * as expr from '../src/index.js';

it('the example of the README prints what its comments say', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, example] = /```js\n([\s\S]*?)```/.exec(readme)!;
  const expected = Array.from(example!.matchAll(/console\.log\(.*\); \/\/ (.*)/g), ([, comment]) => comment);
  expect(expected.length).toBeGreaterThan(6);

  const printed: string[] = [];
  const run: (...args: unknown[]) => void = new Function(
    ...Object.keys(expr),
    'console',
    example!.replace(/^import [^;]*;/, ''),
  ).bind(null, ...Object.values(expr));
  run({ log: (...values: unknown[]) => printed.push(values.join(' ')) });
  expect(printed).toEqual(expected);
});
