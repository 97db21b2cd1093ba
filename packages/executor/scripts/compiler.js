import { execFileSync } from 'node:child_process';

/** The C++ compiler: `CXX`, or the first that is there; null where none is. */
export function findCompiler() {
  for (const command of [process.env.CXX, 'c++', 'g++', 'clang++']) {
    if (!command) continue;
    try {
      return { command, version: execFileSync(command, ['--version'], { encoding: 'utf8' }) };
    } catch {
      // Not this one.
    }
  }
  return null;
}
