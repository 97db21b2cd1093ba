/** Operations are numbers to kernels: their places in src/elementwise.ts, which the build writes into a header. */
import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
// @ts-expect-error a script without types
import { findCompiler as find } from '../scripts/compiler.js';
import { BINARY_KINDS, SHARE_KINDS, UNARY_KINDS } from '../src/elementwise.js';
import { backendInfo } from '../src/index.js';
import { cpuIsMissing } from './devices.js';

const compiler = (find as () => { command: string } | { missing: string })();
const compilerDescribe = 'command' in compiler ? describe : describe.skip;
compilerDescribe(
  `an operation without a formula in kernels/elementwise.h${'command' in compiler ? '' : ' (skipped: no compiler)'}`,
  () => {
    const kernels = fileURLToPath(new URL('../kernels', import.meta.url));

    /** What a compiler says of a source where the header has one more operation in each list. */
    function compile(source: string, flags: readonly string[]): string {
      const folder = mkdtempSync(join(tmpdir(), 'dag-kinds-'));
      const list = (name: string, kinds: readonly string[]) =>
        `#define DAG_${name}(OP) ${[...kinds, 'unheardOf'].map((kind) => `OP(${kind})`).join(' ')}\n`;
      const header =
        list('UNARY_KINDS', UNARY_KINDS) + list('BINARY_KINDS', BINARY_KINDS) + list('SHARES', SHARE_KINDS);
      writeFileSync(join(folder, 'kinds.h'), `${header}#define DAG_ACTIVATIONS(OP) OP(unheardOf)\n`);
      const { command } = compiler as { command: string };
      const args = [
        ...flags,
        '-std=c++17',
        '-fsyntax-only',
        '-Wno-psabi',
        '-I',
        folder,
        join(kernels, source),
      ];
      const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
      rmSync(folder, { recursive: true });
      expect(status).not.toBe(0);
      return stderr;
    }

    it.each([
      ['cpu/elementwise.cpp', ['-DDAG_VARIANT=baseline'], 'unary_ops'],
      ['cpu/binary.cpp', ['-DDAG_VARIANT=baseline'], 'binary_ops'],
      ['cpu/binary.cpp', ['-DDAG_VARIANT=baseline'], 'shares'],
      ['cpu/linear.cpp', ['-DDAG_VARIANT=baseline'], 'unary_ops'],
      ['cuda/elementwise.cu', ['-DDAG_EMULATED', '-x', 'c++'], 'unary_ops'],
      ['cuda/matmul.cu', ['-DDAG_EMULATED', '-x', 'c++'], 'unary_ops'],
      ['cuda/walk.cu', ['-DDAG_EMULATED', '-x', 'c++'], 'binary_ops'],
    ])('does not compile: %s', (source, flags, list) => {
      expect(compile(source, flags)).toMatch(new RegExp(`unheardOf.*${list}|${list}.*unheardOf`));
    });
  },
);

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
