import { defineConfig } from 'tsup';

export default defineConfig({
  entry: [
    'src/index.ts',
    'src/browser.ts',
    'src/cli/dag.ts',
    'src/predictor/worker.ts',
    'src/run/lock/run-lock-beat.ts',
    'src/language/worker.ts',
    'src/problems/worker.ts',
  ],
  format: 'esm',
  dts: { entry: ['src/index.ts', 'src/browser.ts'] },
  clean: true,
});
