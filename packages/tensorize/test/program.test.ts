import { describe, expect, it } from '@jest/globals';
import { parse } from '@dag/expr';
import { compile, requiredDepth, tensorize, tensorizeAll, writeGraph, zeroDag } from '../src/index.js';

describe('a program', () => {
  it('is the numbers and steps of an expression or its text, in post-order', () => {
    const program = compile('2 * -(3 - 4) / 5');
    expect(program).toEqual(compile(parse('2 * -(3 - 4) / 5')));
    expect(program.numbers).toEqual([2, 3, 4, 5]);
    expect(program.steps.map(({ domain, coefficients }) => [domain, ...coefficients])).toEqual([
      ['linear', 1, -1],
      ['linear', -1],
      ['log', 1, 1, -1],
    ]);
  });

  it('is written over a graph of a batch, whatever that held', () => {
    const batch = tensorizeAll(['1 / 2 / 3', '4 * 5 - 6', '-7'], { depth: 3 });
    writeGraph(compile('-8 - 9'), batch, 1);
    expect(batch).toEqual(tensorizeAll(['1 / 2 / 3', '-8 - 9', '-7'], { depth: 3 }));
  });

  it('is written with other numbers', () => {
    const program = compile('2 * 3 + 4');
    const batch = zeroDag({ depth: 3, size: 1 });
    writeGraph({ ...program, numbers: [2, -3.5, -0] }, batch, 0);
    expect(batch).toEqual(tensorize('2 * -3.5 + -0', { depth: 3 }));
  });

  it('that needs a greater depth is an error that says which, and nothing is written', () => {
    const program = compile('1 + 2 * 3');
    const batch = tensorizeAll(['1 / 2'], { depth: 2 });
    expect(() => {
      writeGraph(program, batch, 0);
    }).toThrow(expect.objectContaining({ code: 'depth', needed: requiredDepth('1 + 2 * 3') }));
    expect(batch).toEqual(tensorizeAll(['1 / 2'], { depth: 2 }));
  });
});
