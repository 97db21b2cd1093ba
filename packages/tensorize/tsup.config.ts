import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { defineConfig } from 'tsup';

const dagre = createRequire(import.meta.url).resolve('@dagrejs/dagre');

export default defineConfig({
  entry: ['src/index.ts', 'src/draw.ts'],
  format: 'esm',
  dts: true,
  clean: true,
  // dagre is a devDependency and so bundled into draw.js: who does not draw plans need not install it.
  onSuccess: () => copyFile(join(dagre, '../../LICENSE'), 'dist/dagre.LICENSE'),
});
