/**
 * C0 but tab and newline, DEL, C1, and what turns the direction of text: a terminal obeys them instead of showing them, and
 * names, texts and metrics of files may hold any.
 */
const CONTROL =
  // eslint-disable-next-line no-control-regex
  /[\0-\x08\v-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with control characters as their numbers, as JSON writes them: `\u001b`. */
export function visible(text: string): string {
  return text.replace(CONTROL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
