import { execFileSync } from 'node:child_process';

/** Of GCC, which has Clang's vector shuffles since then; Clang's are older, its version is asked for as well. */
const OLDEST = 12;

/**
 * The C++ compiler: that of `CXX`, or the first of the usual ones that is there and not too old.
 *
 * @returns {{ command: string, version: string } | { missing: string }} its command, or what was looked for
 */
export function findCompiler() {
  const { CXX } = process.env;
  const commands = CXX ? [CXX] : ['c++', 'g++', 'clang++'];
  for (const command of commands) {
    try {
      const ask = (argument) => execFileSync(command, [argument], { encoding: 'utf8' });
      if (parseInt(ask('-dumpversion')) >= OLDEST) return { command, version: ask('--version') };
    } catch {
      // Not this one.
    }
  }
  return { missing: `${commands.join(', ')}: none is there, GCC or Clang from version ${OLDEST}` };
}
