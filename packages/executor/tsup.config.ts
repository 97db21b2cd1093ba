import { defineConfig } from 'tsup';

// The format type DagTensors is @dag/tensorize's; the declarations carry it inline, so the executor installs alone.
export default defineConfig({
  entry: ['src/index.ts'],
  format: 'esm',
  dts: { resolve: ['@dag/tensorize'] },
  clean: true,
});
