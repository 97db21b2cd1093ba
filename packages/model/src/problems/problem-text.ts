import { checkText } from '../arguments.js';

/** A word of a problem without its plural ending. */
export interface ProblemWord {
  readonly stem: string;
  readonly isPlural: boolean;
}

const KEEPS_S = /(?:ss|us|is|'s)$/;

/** The words of a problem's text, which has `number0`, `number1` … in the places of its numbers. @throws {ModelError} `bad-input` for what is no text. */
export function problemWords(text: string): ProblemWord[] {
  checkText('the text of a problem', text);
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => {
      if (word.length <= 3 || !word.endsWith('s') || KEEPS_S.test(word) || /^number\d+$/.test(word))
        return { stem: word, isPlural: false };
      if (word.length > 4 && word.endsWith('ies')) return { stem: `${word.slice(0, -3)}y`, isPlural: true };
      return { stem: word.slice(0, /(?:ch|sh|x|ss)es$/.test(word) ? -2 : -1), isPlural: true };
    });
}

/** The numbers of a text that a person wrote, and the text with `number0`, `number1` … in their places and punctuation apart. */
export interface ReadProblem {
  readonly text: string;
  readonly numbers: readonly number[];
  /** Where each number stands in the text that was given. */
  readonly places: readonly (readonly [begin: number, end: number])[];
}

/** Units that people write right behind a number, as in "5kg". */
const UNIT = '(?:k?g|mg|[kcm]?m|m?l|lbs?|oz|ft|in|yd|mi|hrs?|h|mins?|s|secs?|[ap]m|cents?|km/h|mph)';
/** The time of a day, as in "at 7:30", is no number: hours and minutes apart would be two. */
const TIME = ['(?<!\\b\\d{1,2}:(?=\\d\\d(?!\\d)))', '(?!:\\d\\d(?!\\d))'] as const;
/** A minus belongs to the number where nothing stands before it from which it would subtract. */
const NUMBER = new RegExp(
  `(?:(?<![\\w.)$%])(?<![\\d)$%] +)[-−])?(?<![\\w.])${TIME[0]}(?:(?:\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\.\\d+)?|\\.\\d+)${TIME[1]}(?!(?!${UNIT}(?!\\w))\\w)`,
  'g',
);

/** Finds the numbers in digits of a problem: whole ones, decimals, negative ones, and those with commas or a unit. @throws {ModelError} `bad-input` for what is no text. */
export function readProblem(given: string): ReadProblem {
  checkText('a problem in words', given);
  const numbers: number[] = [];
  const places: (readonly [number, number])[] = [];
  const marked = given.replace(NUMBER, (digits: string, at: number) => {
    numbers.push(Number(digits.replaceAll(',', '').replace('−', '-')));
    places.push([at, at + digits.length]);
    return ` number${numbers.length - 1} `;
  });
  const text = marked
    .toLowerCase()
    .replace(/[’‘]/g, "'")
    .replace(/'s\b/g, " 's")
    .replace(/([.,?!;:()"$%-])/g, ' $1 ')
    .replace(/\s+/g, ' ')
    .trim();
  return { text, numbers, places };
}
