import { defineConfig } from 'tsup';

// The format type DagTensors is @dag/tensorize's; the declarations carry it inline, so the executor installs alone.
// They are found by the `types` field of that package; tsup does not read `exports` for them.
export default defineConfig({
  entry: ['src/index.ts', 'src/portable.ts', 'src/cuda.ts', 'src/wasm.ts'],
  format: 'esm',
  dts: { resolve: ['@dag/tensorize'] },
  clean: true,
});
