import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizer, type TokenizerName } from '@dag/model';
import { z } from 'zod';
import { TrainError } from '../error.js';
import { readText } from '../files/utf8.js';
import type { Split } from '../predictor/stream.js';
import type { AnnotatedText, TextCalculation } from './annotated-text.js';
import { openTokens } from './text-folder.js';

/** The file in a folder of prepared text with the places of results in its token files. */
export const CALCULATIONS_FILE = 'calculations.json';

/** Results in a token file, in its order. */
export interface Places {
  readonly calculations: TextCalculation[];
  /** Results whose calculation does not stand before them. */
  readonly others: { readonly value: number; readonly end: number }[];
}

const NONE: Places = { calculations: [], others: [] };

const place = { value: z.int().min(1), end: z.int().min(1) };
const placesSchema = z.object({
  calculations: z.array(
    z.object({ start: z.int().min(0), ...place, expression: z.string(), result: z.number() }),
  ),
  others: z.array(z.object(place)),
});
const fileSchema = z.object({ train: placesSchema, val: placesSchema });

const read = new Map<
  string,
  { readonly changed: number; readonly places: Readonly<Record<Split, Places>> }
>();

/** The results in the text of one split; none where a folder has no file of them. @throws {TrainError} `bad-input` if the file is no such file */
export function placesIn(folder: string, split: Split): Places {
  const path = join(folder, CALCULATIONS_FILE);
  if (folder === '' || !existsSync(path)) return NONE;
  const changed = statSync(path).mtimeMs;
  const known = read.get(path);
  if (known?.changed === changed) return known.places[split];
  try {
    const { train, val } = fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    const places = { train, 'held-out': val };
    read.set(path, { changed, places });
    return places[split];
  } catch (error) {
    throw new TrainError(
      'bad-input',
      `${path} is not a ${CALCULATIONS_FILE} of dag prepare; prepare the text again`,
      { cause: error },
    );
  }
}

/** Up to `count` texts of the held-out split that have marked results, from the first. */
export function annotatedTexts(folder: string, name: TokenizerName, count: number): AnnotatedText[] {
  const { calculations, others } = placesIn(folder, 'held-out');
  if (calculations.length === 0) return [];
  const file = openTokens(folder, 'held-out', name);
  const end = tokenizer(name).endOfText;
  const first = Math.min(calculations[0]!.start, others[0]?.value ?? Infinity);
  const texts: AnnotatedText[] = [];
  const all = file.read(0, file.length);
  for (
    let from = end === null ? 0 : all.lastIndexOf(end, first) + 1;
    from < all.length && texts.length < count;
  ) {
    const next = end === null ? -1 : all.indexOf(end, from);
    const to = next < 0 ? all.length : next;
    const within = ({ value }: { readonly value: number }): boolean => value >= from && value < to;
    texts.push({
      ids: Array.from(all.subarray(from, to)),
      calculations: calculations
        .filter(within)
        .map((one) => ({ ...one, start: one.start - from, value: one.value - from, end: one.end - from })),
      others: others.filter(within).map(({ value, end }) => ({ value: value - from, end: end - from })),
    });
    from = to + 1;
  }
  return texts;
}

const documentSchema = z.union([
  z.object({ question: z.string(), answer: z.string() }),
  z.object({ text: z.string() }),
]);

/** Largest file of documents. */
const MOST_BYTES = 2 ** 30;

/**
 * The texts of a file of JSON lines: `{ "text" }`, or `{ "question", "answer" }`, which a newline joins.
 *
 * @throws {TrainError} `bad-input` for a line that is none of these, and for a file without lines; `io` if the file cannot be read
 */
export async function readDocuments(path: string): Promise<string[]> {
  const lines = (await readText(path, MOST_BYTES)).split(/\r?\n/);
  const documents = lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      const read = documentSchema.parse(JSON.parse(line));
      return ['text' in read ? read.text : `${read.question}\n${read.answer}`];
    } catch (error) {
      throw new TrainError(
        'bad-input',
        `${path}, line ${i + 1}: expected JSON with text, or with question and answer`,
        { cause: error },
      );
    }
  });
  if (documents.length > 0) return documents;
  throw new TrainError('bad-input', `${path} has no text`);
}
