import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { defineConfig } from 'tsup';

const dagre = createRequire(import.meta.url).resolve('@dagrejs/dagre');

export default defineConfig([
  {
    entry: ['src/index.ts', 'src/draw.ts'],
    format: 'esm',
    clean: true,
    // dagre is a devDependency and so bundled into draw.js: who does not draw plans need not install it.
    onSuccess: () => copyFile(join(dagre, '../../LICENSE'), 'dist/dagre.LICENSE'),
  },
  // Declarations in one file for each entry: those of the executor take them in, and would not find a third.
  ...['src/index.ts', 'src/draw.ts'].map((entry) => ({
    entry: [entry],
    format: 'esm' as const,
    dts: { only: true },
  })),
]);
