/** A module of the built package, by its path in `dist`: worker threads run it also where this one runs from its source. */
export const workerUrl = (path: string): URL =>
  new URL((import.meta.url.endsWith('.ts') ? '../../dist/' : './') + path, import.meta.url);
