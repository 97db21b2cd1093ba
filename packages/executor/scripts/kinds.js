/**
 * Writes native/include/kinds.h: the operations of src/elementwise.ts, in their order there, as lists that kernels/elementwise.h
 * expands. So C++, WebAssembly and CUDA know each by the same number as TypeScript.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** @returns the folder for the compiler to look for it in, and the file */
export async function writeKinds() {
  const { UNARY_KINDS, BINARY_KINDS, SHARE_KINDS, ACTIVATIONS } = await createJiti(import.meta.url).import(
    join(packageFolder, 'src', 'elementwise.ts'),
  );
  const list = (name, kinds) => `#define DAG_${name}(OP) ${kinds.map((kind) => `OP(${kind})`).join(' ')}\n`;
  const text =
    '// Made by scripts/kinds.js from src/elementwise.ts.\n#pragma once\n' +
    list('UNARY_KINDS', UNARY_KINDS) +
    list('BINARY_KINDS', BINARY_KINDS) +
    list('SHARES', SHARE_KINDS) +
    list('ACTIVATIONS', ACTIVATIONS);
  const folder = join(packageFolder, 'native', 'include');
  const file = join(folder, 'kinds.h');
  await mkdir(folder, { recursive: true });
  const before = await readFile(file, 'utf8').catch(() => null);
  if (before !== text) await writeFile(file, text);
  return { folder, file };
}
