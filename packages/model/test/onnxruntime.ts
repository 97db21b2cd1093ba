import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it } from '@jest/globals';

const isInstalled = createRequire(import.meta.url)
  .resolve.paths('onnxruntime-node')!
  .some((path) => existsSync(join(path, 'onnxruntime-node')));
const named = (name: string): string =>
  isInstalled ? name : `${name} (skipped: onnxruntime-node is not installed)`;

/** Tests that need onnxruntime-node. */
export const onnxIt = (name: string, test: () => Promise<void>): void =>
  (isInstalled ? it : it.skip)(named(name), test);
export const onnxDescribe = (name: string, tests: () => void): void =>
  (isInstalled ? describe : describe.skip)(named(name), tests);
