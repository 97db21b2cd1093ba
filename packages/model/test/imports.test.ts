import { execFileSync } from 'node:child_process';
import { expect, it } from '@jest/globals';
import * as whole from '../src/index.js';

/** Deno, without permissions, throws where a program asks for these. */
const withoutPermissions = `
  import os from 'node:os';
  import { syncBuiltinESMExports } from 'node:module';
  for (const name of ['hostname', 'homedir', 'userInfo', 'networkInterfaces', 'cpus'])
    os[name] = () => { throw new Error(name + ' is not permitted'); };
  syncBuiltinESMExports();
`;

it('is imported without asking for anything that a user of Deno has to permit', () => {
  const program = `${withoutPermissions}
    const { PredictorModel } = await import('${new URL('../dist/index.js', import.meta.url).href}');
    console.log(typeof PredictorModel.load);`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  expect(printed).toBe('function\n');
});

const portable = new URL('../dist/portable.js', import.meta.url).href;
const printed = (program: string): unknown =>
  JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }),
  );

it('has the same names outside Node, of which those that need files say so when they are called', () => {
  const program = `
    const portable = await import('${portable}');
    const messages = [portable.loadGpt2, portable.exportOnnx, portable.OnnxPredictor.load].map((f) => {
      try { return f('model'); } catch (error) { return error.code + ': ' + error.message; }
    });
    console.log(JSON.stringify([Object.keys(portable).sort(), messages]));`;
  const needs = "needs files and Node's modules; it runs in Node, Deno and Bun";
  expect(printed(program)).toEqual([
    Object.keys(whole).sort(),
    ['loadGpt2', 'exportOnnx', 'OnnxPredictor.load'].map((name) => `no-runtime: ${name} ${needs}`),
  ]);
});

it("has GPT-2's tokens outside Node once their module is imported", () => {
  const program = `
    const { tokenizer } = await import('${portable}');
    const before = (() => { try { return tokenizer('gpt2'); } catch (error) { return error.message; } })();
    await import('${new URL('gpt2-tokens.js', portable).href}');
    console.log(JSON.stringify([before, tokenizer('gpt2').encode('two plus 3.5')]));`;
  expect(printed(program)).toEqual([
    expect.stringMatching("import '@dag/model/gpt2-tokens' first"),
    whole.tokenizer('gpt2').encode('two plus 3.5'),
  ]);
});
