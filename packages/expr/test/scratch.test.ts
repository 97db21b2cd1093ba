import { expect, it } from '@jest/globals';
import { parse, format, normalize, evaluate } from '../src/index.js';
const show = (e: any): string =>
  e.type === 'Num'
    ? Object.is(e.value, -0)
      ? '-0'
      : String(e.value)
    : e.type === 'Sym'
      ? e.name
      : e.type === 'Neg'
        ? `Neg(${show(e.arg)})`
        : e.type === 'Pow'
          ? `Pow(${show(e.base)})`
          : `${e.type}(${e.args.map(show)})`;
it('x', () => {
  const out: string[] = [];
  for (const s of [
    '2.5 * 3.0 + 1.0',
    'a+b+c',
    '(a + b) + c',
    'a - b + c',
    'a-b-c',
    '-2',
    '-0',
    '-(2)',
    '--2',
    '-2^-1',
    'a^(-1)*b',
    'a*b^-1*c^-1',
    '-1*(a+b)',
    '-1*3',
    'a + (-b) + c',
    'a-(-b)',
    'a+-2',
    '(-2)^-1',
    '(a^-1)^-1',
    ' 2.*3',
    '2. * 3',
    '2x',
    '2(3)',
    '(2)(3)',
    'f(2)',
    '2 3',
    '0x10',
    '5!',
    '5%',
    '[1]',
    '1,2',
    '2^3',
    '2^-1^-1',
    '1e999',
    'a mod b',
    'true',
    '×',
    '2×3',
    '2**3',
    '1+',
    '(1',
    '1)',
    '',
    '  ',
    '2^',
    '2^-',
    '1e',
    '.',
    '2+.',
    'a\nb',
    '1.2.3',
    'a.b',
    '"x"',
    '1:2',
    '1e5.5',
    '2.*',
    'π*2',
    '𝐀+1',
    'a^-2',
    'a^(-1',
    'a b',
    '(2)3',
    '(2)x',
    "a'",
    'a=1',
    '1?2:3',
    '2 .5',
    '$a+_b',
    '2 # c',
  ]) {
    try {
      const e = parse(s);
      out.push(`${JSON.stringify(s)} => ${show(e)} | ${format(e)} | ${show(normalize(e))}`);
      expect(parse(format(e))).toEqual(e);
    } catch (err: any) {
      out.push(`${JSON.stringify(s)} !! ${err.code} @${err.position} ${err.message}`);
    }
  }
  console.log(out.join('\n'));
  console.log(evaluate(parse('2.5 * x + 1'), { x: 3 }), format(parse('(1+2)*3-(4-5)')));
  let t = performance.now();
  for (let i = 0; i < 20000; i++) parse('2.5 * 3.0 + (1.0 - 4.25) / 7');
  console.log('us/parse', (performance.now() - t) / 20);
  const e = parse('2.5 * 3.0 + (1.0 - 4.25) / 7');
  t = performance.now();
  for (let i = 0; i < 100000; i++) evaluate(e);
  console.log('us/eval', (performance.now() - t) / 100);
});
