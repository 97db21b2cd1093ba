/** Kinds of operations are numbers to kernels: places in lists that stand in TypeScript, C++ and CUDA. */
import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ACTIVATIONS, BINARY_KINDS, SHARES, UNARY_KINDS } from '../src/backends/kinds.js';
import { backendInfo } from '../src/index.js';
import { cpuIsMissing } from './devices.js';

/** The names of `enum name` in a source, as TypeScript writes them. */
function kindsIn(source: string, name: string): string[] {
  const text = readFileSync(new URL(`../kernels/${source}`, import.meta.url), 'utf8');
  const list = new RegExp(`enum ${name} : \\w+ \\{([^}]*)\\}`).exec(text)![1]!;
  return list.split(',').map((kind) =>
    kind
      .trim()
      .toLowerCase()
      .replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
  );
}

describe('the lists of kinds are the same in', () => {
  it.each([
    ['cpu/elementwise.cpp', 'UnaryKind', UNARY_KINDS],
    ['cpu/binary.cpp', 'BinaryKind', BINARY_KINDS],
    ['cpu/binary.cpp', 'Share', SHARES],
    ['cpu/linear.cpp', 'Activation', ['none', ...ACTIVATIONS]],
    ['cuda/elementwise.cu', 'UnaryKind', UNARY_KINDS],
    ['cuda/walk.cu', 'BinaryKind', BINARY_KINDS],
    ['cuda/walk.cu', 'Share', [...SHARES, 'copy']],
  ])('%s: %s', (source, name, kinds) => {
    expect(kindsIn(source, name)).toEqual(kinds);
  });
});

const kernelsIt = cpuIsMissing === null ? it : it.skip;
const skipped = cpuIsMissing === null ? '' : ` (skipped: ${cpuIsMissing})`;
kernelsIt(`a native kernel says so where it does not know a kind${skipped}`, () => {
  const { library, variant } = backendInfo('cpu');
  const koffi = createRequire(import.meta.url).resolve('koffi');
  const call = (kernel: string, types: string, args: string) => {
    const program = `
      const kernel = require(${JSON.stringify(koffi)}).load(${JSON.stringify(library)})
        .func('void dag_${kernel}_${variant}(${types})');
      const x = new Float64Array(4);
      kernel(${args});`;
    return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  };
  const unary = call('unary_f64', 'int64_t, void *, void *, int64_t, double, double', '99, x, x, 4, 0, 0');
  expect(unary).toMatchObject({
    signal: 'SIGABRT',
    stderr: expect.stringContaining('unary knows no kind 99'),
  });
  const binary = call(
    'binary_f64',
    'int64_t, void *, void *, void *, void *',
    '-1, new Float64Array(37), x, x, x',
  );
  expect(binary).toMatchObject({
    signal: 'SIGABRT',
    stderr: expect.stringContaining('binary knows no kind -1'),
  });
});
