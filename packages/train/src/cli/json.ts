import { visible } from './visible.js';

/**
 * JSON on one line, with control characters as their numbers. It has no NaN and no Infinity: they are the strings "NaN",
 * "Infinity" and "-Infinity".
 */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'number' && !Number.isFinite(v) ? String(v) : v,
  );
  // JSON escapes C0 itself.
  return visible(json);
}
