import { checkString } from './arguments.js';

/**
 * FNV-1a (Fowler, Noll & Vo) of the UTF-16 code units of a text: a whole number from 0 to 2^32 − 1.
 *
 * @throws ExprError `bad-option` for what is no string.
 */
export function fnv1a(text: string): number {
  checkString('A text is', text);
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
