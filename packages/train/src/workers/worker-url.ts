/** The URL of a module in `dist`. Worker threads always run the built module, even if this one runs from source. */
export const workerUrl = (path: string): URL =>
  new URL((import.meta.url.endsWith('.ts') ? '../../dist/' : './') + path, import.meta.url);
