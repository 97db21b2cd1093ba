import { fnv1a, type Random } from '@dag/expr';

/** One of a list. */
export const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

const CHOICE = /\[([^\]]*)\]/g;
/** A template with its choices made. */
export const chosen = (random: Random, template: string): string =>
  template
    .replace(CHOICE, (_, choices: string) => pick(random, choices.split('|')))
    .replace(/\s+/g, ' ')
    .trim();

/** One phrase in so many is held out. */
const HELD_OUT = 12;
/** With this salt of the hash all common phrases are trained, such as "the sum of". */
const SALT = 'held out 294';
/** Whether a phrase, with its choices made, is never trained. */
export const isHeldOut = (phrase: string): boolean => {
  let h = fnv1a(`${SALT} ${phrase}`);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h >>> 8) % HELD_OUT === 0;
};

/** All phrases that templates stand for. */
export function allPhrases(templates: readonly string[]): string[] {
  const expand = (template: string): string[] => {
    const match = /\[([^\]]*)\]/.exec(template);
    if (!match) return [template.replace(/\s+/g, ' ').trim()];
    return match[1]!.split('|').flatMap((choice) => expand(template.replace(match[0], choice)));
  };
  return templates.flatMap(expand);
}
