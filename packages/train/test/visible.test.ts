import { expect, it } from '@jest/globals';
import { toJson } from '../src/cli/json.js';
import { visible } from '../src/cli/visible.js';

it('shows what a terminal would obey: C0, DEL, C1 and changes of direction', () => {
  expect(visible('\x1b[31mred\x07\r \x7f \x9b2J \u202etxt.exe \u2066')).toBe(
    '\\u001b[31mred\\u0007\\u000d \\u007f \\u009b2J \\u202etxt.exe \\u2066',
  );
  for (let code = 0; code < 0xa0; code++) {
    const isControl = code < 0x20 || code >= 0x7f;
    const isKept = !isControl || code === 0x09 || code === 0x0a;
    expect([code, visible(String.fromCharCode(code)).length]).toEqual([code, isKept ? 1 : 6]);
  }
});

it('leaves text as it is: tabs, lines, letters of any script, emoji', () => {
  const text = 'a\tb\n2 × 3 ÷ −1 é 中文 עברית العربية 👩‍👩‍👧';
  expect(visible(text)).toBe(text);
});

it('is so in JSON, which says the same', () => {
  const text = '\x1b[31m \x9b \u202e \n "\\';
  expect(toJson(text)).toBe('"\\u001b[31m \\u009b \\u202e \\n \\"\\\\"');
  expect(JSON.parse(toJson(text))).toBe(text);
});
