import { execFileSync } from 'node:child_process';
import { expect, it } from '@jest/globals';

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
