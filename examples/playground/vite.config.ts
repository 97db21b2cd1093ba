import { defineConfig } from 'vite';

export default defineConfig({
  // Relative paths: the folder works wherever it is served from.
  base: './',
  build: { target: 'es2022', modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1000 },
  worker: { format: 'es' },
});
