import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts', 'src/portable.ts', 'src/gpt2-tokens.ts', 'src/problems.ts'],
  format: 'esm',
  dts: { entry: ['src/index.ts', 'src/gpt2-tokens.ts', 'src/problems.ts'] },
  clean: true,
});
