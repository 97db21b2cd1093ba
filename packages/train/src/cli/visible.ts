/**
 * C0 except tab and newline, DEL, C1, and bidirectional controls. A terminal obeys them instead of showing them, and file
 * names, texts and metrics may contain any.
 */
const CONTROL =
  // eslint-disable-next-line no-control-regex
  /[\0-\x08\v-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Escapes control characters as JSON does: `\u001b`. */
export function visible(text: string): string {
  return text.replace(CONTROL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
