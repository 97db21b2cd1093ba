import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts', 'src/portable.ts', 'src/gpt2-tokens.ts'],
  format: 'esm',
  dts: { entry: ['src/index.ts', 'src/gpt2-tokens.ts'] },
  clean: true,
});
