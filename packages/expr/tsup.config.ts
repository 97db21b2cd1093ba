import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts', 'src/normalize.ts', 'src/mathjs.ts'],
  format: 'esm',
  dts: true,
  clean: true,
});
