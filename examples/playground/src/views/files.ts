import { ModelError, type PredictorModel } from '@dag/model';
import { html, shortNumber } from '@dag/tensorize/draw';
import { breathe, download, element, percent, setEnabled, show } from '../page.js';
import { problemOf } from '../problem.js';
import { update } from '../state.js';

/** A line of the table. */
interface Row {
  readonly text: string;
  /** null where the text is refused. */
  readonly value: number | null;
  readonly confidence: number | null;
  readonly refusal: string;
}

const MOST_BYTES = 4_000_000;
const MOST_LINES = 20_000;
/** The table shows these; the CSV has all. */
const MOST_SHOWN = 200;
/** Characters of a file that the field shows. */
const MOST_TYPED = 10_000;

export function setUpFiles(model: PredictorModel): void {
  const area = element('files');
  show(
    area,
    html`<div class="drop" id="drop">
        <label for="lines">Texts, one a line</label>
        <textarea id="lines" rows="3" spellcheck="false" placeholder="2 + 3&#10;half of 15% of 80"></textarea>
        <div class="row">
          <label class="button"
            >Choose files <input type="file" id="file" multiple accept=".txt,.csv,text/*" class="hidden"
          /></label>
          <button type="button" id="read-lines">Read the lines</button>
          <button type="button" id="stop-lines" hidden>Stop</button>
          <button type="button" id="csv" hidden>Save as CSV</button>
        </div>
      </div>
      <p id="lines-said" role="status" class="muted"></p>
      <div class="scroll" id="rows"></div>`,
  );
  const lines = element<HTMLTextAreaElement>('lines');
  const [said, stop, csv] = ['lines-said', 'stop-lines', 'csv'].map((id) => element(id)) as [
    HTMLElement,
    HTMLElement,
    HTMLElement,
  ];
  let rows: Row[] = [];
  /** The list that is read now; another one takes its place. */
  let reading = { isStopped: true };

  const showRows = (): void => {
    csv.hidden = rows.length === 0;
    show(element('rows'), rows.length === 0 ? '' : table(rows));
  };
  const readAll = async (text: string): Promise<void> => {
    const all = text
      .split(/\r\n|\r|\n/)
      .filter((line) => line.trim() !== '')
      .map(unquoted);
    const list = all.slice(0, MOST_LINES);
    const own = (reading = { isStopped: false });
    rows = [];
    setEnabled(stop, true);
    stop.hidden = list.length === 0;
    let drawn = performance.now();
    for (const line of list) {
      rows.push(rowOf(model, line));
      if (performance.now() - drawn < 50) continue;
      said.textContent = `${rows.length} of ${list.length} texts`;
      showRows();
      await breathe();
      drawn = performance.now();
      if (reading !== own) return;
      if (own.isStopped) break;
    }
    setEnabled(stop, false);
    showRows();
    if (list.length === 0) {
      said.textContent = 'There is no line with a text.';
      return;
    }
    const refused = rows.filter(({ value }) => value === null).length;
    const rest = all.length - rows.length;
    said.textContent =
      `${rows.length} ${rows.length === 1 ? 'text' : 'texts'}: ${rows.length - refused} read, ${refused} refused.` +
      (rest > 0 ? ` ${rest} more were not read.` : '') +
      (rows.length > MOST_SHOWN ? ` The first ${MOST_SHOWN} are shown; the CSV has all.` : '');
  };
  const readFiles = async (files: readonly File[]): Promise<void> => {
    if (files.length === 0) return;
    const size = files.reduce((sum, { size }) => sum + size, 0);
    if (size > MOST_BYTES) {
      const whole = files.length === 1 ? `${files[0]!.name} has` : `These ${files.length} files have`;
      said.textContent = `${whole} ${(size / 1e6).toFixed(1)} MB; this page reads up to ${MOST_BYTES / 1e6} MB.`;
      return;
    }
    try {
      const text = (await Promise.all(files.map(textOf))).join('\n');
      lines.value = text.slice(0, MOST_TYPED);
      await readAll(text);
    } catch (error) {
      said.textContent = problemOf(error);
    }
  };

  element('read-lines').addEventListener('click', () => void readAll(lines.value));
  stop.addEventListener('click', () => (reading.isStopped = true));
  csv.addEventListener('click', () => download('values.csv', 'text/csv', csvOf(rows)));
  const file = element<HTMLInputElement>('file');
  file.addEventListener('change', () => {
    void readFiles([...(file.files ?? [])]);
    file.value = '';
  });
  element('rows').addEventListener('click', ({ target }) => {
    const text = target instanceof HTMLElement ? target.dataset['text'] : undefined;
    if (text === undefined) return;
    update({ text });
    element('text').focus();
  });
  // A file that is dropped anywhere else would replace the page. Text may be dropped into fields.
  const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    void readFiles([...event.dataTransfer!.files]);
  });
}

/** The text of a file in UTF-8, or in UTF-16 with its mark. */
async function textOf(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch {
    // A byte that is no part of a text.
  }
  throw new Error(`${file.name} is no text in UTF-8.`);
}

/** A line that is one quoted field, as spreadsheets write a text with a comma. */
const unquoted = (line: string): string =>
  /^"(?:[^"]|"")*"$/.test(line) ? line.slice(1, -1).replaceAll('""', '"') : line;

function rowOf(model: PredictorModel, text: string): Row {
  try {
    const { value, confidence } = model.predict(text);
    return { text, value, confidence, refusal: '' };
  } catch (error) {
    const { reading } =
      error instanceof ModelError ? (error as { reading?: { confidence: number | null } }) : {};
    return { text, value: null, confidence: reading?.confidence ?? null, refusal: problemOf(error) };
  }
}

const table = (rows: readonly Row[]) =>
  html`<table class="list">
    <thead>
      <tr>
        <th scope="col">Text</th>
        <th scope="col" class="amount">Value</th>
        <th scope="col" class="amount">Sure</th>
        <th scope="col">Refused because</th>
      </tr>
    </thead>
    <tbody>
      ${rows.slice(0, MOST_SHOWN).map(
        ({ text, value, confidence, refusal }) =>
          html`<tr>
            <td>
              <button type="button" class="link" data-text="${text}">
                ${text.length > 120 ? `${text.slice(0, 120)}…` : text}
              </button>
            </td>
            <td class="amount">${value === null ? '–' : shortNumber(value)}</td>
            <td class="amount">${confidence === null ? '' : percent(confidence)}</td>
            <td>${refusal}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;

const csvOf = (rows: readonly Row[]): string =>
  ['text,value,confidence,refused', ...rows.map((row) => Object.values(row).map(csvField).join(','))].join(
    '\r\n',
  ) + '\r\n';

/** RFC 4180. A spreadsheet would execute a text that begins as a formula does: an apostrophe before it says that it is a text. */
function csvField(field: string | number | null): string {
  const text = typeof field === 'string' && /^[=+\-@\t]/.test(field) ? `'${field}` : String(field ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
