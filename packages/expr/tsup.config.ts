import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts', 'src/normalize.ts'],
  format: 'esm',
  dts: true,
  clean: true,
});
