import { visible } from './visible.js';

/**
 * JSON on one line, with control characters escaped. JSON has no NaN and no Infinity: they become the strings "NaN",
 * "Infinity" and "-Infinity".
 */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'number' && !Number.isFinite(v) ? String(v) : v,
  );
  // JSON.stringify escapes only C0; `visible` escapes the other control characters.
  return visible(json);
}
