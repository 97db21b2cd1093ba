import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate as evaluateByMathjs } from 'mathjs';
import { execute } from '@dag/executor';
import { randomStream } from '@dag/expr';
import { DagGpt, decidedTensors, placesOf, tokenizer, writeValue } from '@dag/model';
import { readAnnotated } from '../src/language/annotated-text.js';
import { targetsOfPieces } from '../src/language/calculation-targets.js';
import { calculationScores } from '../src/language/calculation-scores.js';
import { annotatedTexts, placesIn, readDocuments } from '../src/language/calculations-file.js';
import { knownTokens } from '../src/language/known-tokens.js';
import { languageBatch, type LanguageStreamConfig } from '../src/language/language-stream.js';
import { drawRunningLine } from '../src/language/running-line.js';
import { prepareText } from '../src/language/prepare.js';
import { runningMarks, symbolsOf } from '../src/language/running-marks.js';
import { tokenTexts } from '../src/predictor/stream.js';

const gpt2 = tokenizer('gpt2');
const LAYOUT = { depth: 8, digits: 16 };

/** The value that the decisions of a calculation's tokens write; null where it is none. */
function decidedValue(text: string): number | null {
  const ids = gpt2.encodeSigns(text);
  const targets = targetsOfPieces(tokenTexts(ids, 'gpt2'));
  if (!targets) return null;
  const decided = {
    records: gpt2.records(ids),
    decisions: targets.classes,
    nestings: targets.nestings,
  };
  return execute(decidedTensors(decided, LAYOUT))[0]!;
}

describe('calculations in running text', () => {
  it.each([
    ['12 x 2 =', '12 * 2'],
    ['$15 * 2 = $', '15 * 2'],
    ['80,000+50,000=$', '80000 + 50000'],
    ['5% of 80,000 =', '5% * 80000'],
    ['20 sheep + 160 sheep + 80 sheep =', '20 + 160 + 80'],
    ['3(16)=', '3 * (16)'],
    ['(2+3)(4 – 1) =', '(2 + 3) * (4 - 1)'],
    ['$20/hour * 3 hours = $', '20 * 3'],
    ['$320 / $20/hour =', '320 / 20'],
    ['-14 + (-8) + 1 =', '-14 + (-8) + 1'],
    ['7 × -2 =', '7 * -2'],
    ['150 divided by 5 equals', '150 / 5'],
    ['60 students x 2/3 =', '60 * 2 / 3'],
    ['1,250.50 − .5 =', '1250.50 - .5'],
  ])('are read as people write them: %s', (text, symbols) => {
    expect(symbolsOf(runningMarks(text)!)).toBe(symbols);
    const expected = Number(evaluateByMathjs(symbols.replace('5%', '(5/100)')));
    expect(decidedValue(text)).toBeCloseTo(expected, 9);
  });

  it.each([
    '2 boys and 3 girls',
    '5',
    '',
    '2 + 3 = 5 + 1 =',
    '3 - week',
    '4) + (3',
    '* 2',
    '2 *',
    '(2 + 3',
    '%',
  ])('are not %j', (text) => expect(runningMarks(text)).toBeNull());

  it('decide the value that mathjs computes, whatever the numbers, signs and units', () => {
    const number = fc.oneof(
      fc.integer({ min: 0, max: 9_999_999 }).map((n) => n.toLocaleString('en-US')),
      fc.integer({ min: 0, max: 99_999 }).map((n) => `${n / 100}`),
    );
    const unit = fc.constantFrom('', '', ' sheep', ' hours', ' apples');
    const operator = fc.constantFrom(' + ', ' - ', ' * ', ' x ', ' / ', '+', '*', '/', ' × ', ' – ');
    const operand = fc.tuple(fc.constantFrom('', '', '$', '('), number, unit);
    fc.assert(
      fc.property(
        operand,
        fc.array(fc.tuple(operator, operand), { minLength: 1, maxLength: 5 }),
        (first, rest) => {
          const write = ([open, digits, unit]: [string, string, string]): string =>
            open === '(' ? `(${digits})` : open + digits + unit;
          const text = write(first) + rest.map(([sign, one]) => sign + write(one)).join('');
          const plain = text
            .replace(/ (sheep|hours|apples)/g, '')
            .replace(/[$,]/g, '')
            .replace(/[x×]/g, '*')
            .replace(/–/g, '-');
          const expected = Number(evaluateByMathjs(plain));
          fc.pre(Number.isFinite(expected));
          const value = decidedValue(`${text} =`)!;
          expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1e-3, Math.abs(expected)));
        },
      ),
    );
  });

  it('may be any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'12. ,+-*/x()%$=ab') }), (text) => {
        const marks = runningMarks(text);
        for (const { begin, end } of marks ?? []) expect(end).toBeGreaterThan(begin);
      }),
    );
  });
});

describe('lines of calculations as in sentences', () => {
  it('have the result that their decisions compute, as the text writes it', () => {
    const kinds = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const { ids, calculations, others } = drawRunningLine(randomStream(1, i), 'gpt2');
      expect([calculations.length, others]).toEqual([1, []]);
      const { start, value, end, result } = calculations[0]!;
      const text = gpt2.decode(ids.slice(start, value));
      expect(text).toMatch(/(?:=|= ?[$]|equals [$]?|equals)$/);
      expect(decidedValue(text)).toBeCloseTo(result, 6);
      expect(placesOf(gpt2.decode(ids.slice(value, end)), result)).toContain(1);
      kinds.add(text.replace(/[\d.,]+/g, '0'));
    }
    expect(kinds.size).toBeGreaterThan(150);
    expect(drawRunningLine(randomStream(1, 5), 'gpt2')).toEqual(drawRunningLine(randomStream(1, 5), 'gpt2'));
  });
});

describe('how a value is written', () => {
  it.each([
    [' 3.33', 10 / 3],
    ['1,200', 1200],
    [' $4.50'.slice(2), 4.5],
    ['4.5', 4.5],
    ['0.3', 0.1 + 0.2],
    ['.75', 0.75],
    ['3', 2.6],
    ['2.68', 2.675],
    [' -21', -21],
    ['1,234,567.5', 1234567.5],
  ])('%j is a form of its value', (text, value) => {
    const places = placesOf(text, value).indexOf(1);
    expect(places).toBeGreaterThanOrEqual(0);
    const form = { places, isGrouped: text.includes(','), isSpaced: text.startsWith(' ') };
    expect(writeValue(value, form)).toBe(text);
  });

  it('is a number as near as its decimals, for every class and value', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.nat({ max: 10 }),
        fc.boolean(),
        (value, places, isGrouped) => {
          const written = writeValue(value, { places, isGrouped, isSpaced: false });
          const read = Number(written.replaceAll(',', ''));
          expect(Math.abs(read - value)).toBeLessThanOrEqual(0.5 + 1e-11 * Math.abs(value));
        },
      ),
    );
  });
});

const DOCUMENTS = Array.from({ length: 40 }, (_, i) => ({
  question: `Tom has ${i + 2} bags of ${i + 10} nuts and ${i} more. How many nuts has he?`,
  answer:
    `He has ${i + 2} * ${i + 10} = <<${i + 2}*${i + 10}=${(i + 2) * (i + 10)}>>${(i + 2) * (i + 10)} nuts in bags.\n` +
    `So ${(i + 2) * (i + 10)} + ${i} = $<<${(i + 2) * (i + 10)}+${i}=${(i + 2) * (i + 10) + i}>>${(i + 2) * (i + 10) + i}.\nx = <<1=1>>1`,
}));

describe('texts with marked results', () => {
  let folder: string;
  let source: string;
  let config: LanguageStreamConfig;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dag-calculations-'));
    source = join(folder, 'solutions.jsonl');
    await writeFile(source, DOCUMENTS.map((one) => JSON.stringify(one)).join('\n'));
    const out = join(folder, 'text');
    const prepared = await prepareText({
      inputs: [],
      calculations: source,
      out,
      tokenizer: 'gpt2',
      val: 0.25,
    });
    expect(prepared.calculations).toEqual({ train: { read: 60, others: 30 }, val: { read: 20, others: 10 } });
    config = {
      ...{ seed: 3, tokenizer: 'gpt2', blockSize: 64, batchSize: 8, depth: 4, digits: 8 },
      data: {
        ...{ text: out, arithmetic: 0, numbers: 3, maxDigits: 3, maxDecimals: 1 },
        ...{ style: 'spaced', negatedGroups: 0, wholeNumbers: 0.5 },
      },
    };
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('say where results stand and what they are of; the marks are taken out', () => {
    const { ids, calculations, others } = readAnnotated(
      'A. 2 boxes * 12 = <<2*12=24>>24 pens, and 24 x $1.50 = $<<24*1.5=36.00>>36.00, so x = <<7=7>>7.',
      'gpt2',
    );
    expect(gpt2.decode(ids)).toBe('A. 2 boxes * 12 = 24 pens, and 24 x $1.50 = $36.00, so x = 7.');
    const read = calculations.map(({ start, value, end, expression, result }) => [
      gpt2.decode(ids.slice(start, value)),
      ...[gpt2.decode(ids.slice(value, end)), expression, result],
    ]);
    expect(read).toEqual([
      [' 2 boxes * 12 =', ' 24', '2 * 12', 24],
      [' 24 x $1.50 = $', '36.00', '24 * 1.50', 36],
    ]);
    expect(others.map(({ value, end }) => gpt2.decode(ids.slice(value, end)))).toEqual([' 7']);
  });

  it('are texts of their tokens: held-out ones are read back as they were', async () => {
    const texts = annotatedTexts(config.data.text, 'gpt2', 100);
    const all = (await readDocuments(source)).slice(30);
    expect(texts).toEqual(all.map((text) => readAnnotated(text, 'gpt2')));
  });

  it('make rows in which the gate is open before results, and not asked before others and cut ones', () => {
    let [calculations, unknown] = [0, 0];
    for (let i = 0; i < 8; i++) {
      const { tokens, targets, gate, gateKnown, expressions } = languageBatch(config, 'train', i);
      const [T] = [config.blockSize];
      const { shape, index, last, written, decided, spaced } = expressions!;
      last.forEach((l, m) => {
        if (l < 0) return;
        calculations++;
        const to = index[m * shape[1] + l]!;
        expect([gate[to], targets[to]]).toEqual([1, -1]);
        expect(decided.slice(m * shape[1], m * shape[1] + l + 1).every((one) => one === 1)).toBe(true);
        const row = Math.floor(to / T) * T;
        const after = gpt2.decode([...tokens.slice(to + 1, row + T)]);
        const digits = /^ ?\d+/.exec(after)?.[0];
        if (digits !== undefined && digits.length < after.length) expect(Number(digits)).toBe(written[m]);
        if (after !== '') expect(spaced[m]).toBe(Number(after.startsWith(' ')));
      });
      // Before "x = 1" and before results whose calculation begins before the row.
      gateKnown.forEach((known, at) => {
        if (known === 1 || (gateKnown[at - 1] === 0 && at % T !== 0)) return;
        if (gate[at - 1] !== 1) unknown++;
      });
    }
    expect(calculations).toBeGreaterThan(60);
    expect(unknown).toBeGreaterThan(20);
  });

  it('are ordinary text to a plain GPT', () => {
    const { targets, gate, tokens, expressions } = languageBatch({ ...config, plain: true }, 'train', 0);
    expect([gate.includes(1), expressions, targets.includes(-1)]).toEqual([false, null, false]);
    expect(targets.slice(0, 63)).toEqual(tokens.slice(1, 64));
  });

  it('have tokens that a model may know alone; others share rows', () => {
    const known = knownTokens(config);
    expect(known).toContain(gpt2.encode(' bags')[0]);
    expect(known).not.toContain(gpt2.encode(' zebra')[0]);
    const model = new DagGpt({
      ...{ tokenizer: 'gpt2', depth: 3, digits: 6, readout: 'decisions', blockSize: 32, known },
      ...{ nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0, bias: true, convolution: 2 },
    });
    expect(model.parameters.get('wte.weight')!.shape).toEqual([known.length + 2, 8]);
    const hidden = (text: string): number[] => {
      const ids = Int32Array.from(gpt2.encode(text));
      return Array.from(model.forward(ids, [1, ids.length]).hidden.dataSync());
    };
    expect(hidden(' table')).toEqual(hidden(' window'));
    expect(hidden(' table')).not.toEqual(hidden(' 77'));
    const logits = model.tokenLogits(model.forward(Int32Array.of(known[0]!), [1, 1]).hidden);
    expect(Array.from(logits.keys()).filter((id) => logits[id]! > -Infinity)).toEqual(known);
    // The tokenizer of the file, as in a page.
    const loaded = DagGpt.load(model.save());
    for (const text of ['Tom has 3 bags of nuts', 'a zebra, a lioness and 9,999 = $'])
      expect(loaded.tokenizer.encodeSigns(text)).toEqual(model.tokenizer.encodeSigns(text));
    expect(loaded.tokenizer.encode(' bags')).toEqual(gpt2.encode(' bags'));
    expect(DagGpt.load(model.save()).generate('3 bags', { temperature: 0 })).toEqual(
      model.generate('3 bags', { temperature: 0 }),
    );
  });

  it('count what a model writes in them', async () => {
    const texts = annotatedTexts(config.data.text, 'gpt2', 3);
    /** Writes the results of the texts by their calculations, and 5 before another number and before a word. */
    const at = texts.map(({ ids, calculations }) => {
      const pieces = tokenTexts(ids, 'gpt2');
      const computed = new Map(
        calculations.map(({ value, end, expression }, i) => {
          const written = i === 0 ? pieces.slice(value, end).join('') : '0';
          return [value, { written, expression }];
        }),
      );
      computed.set(pieces.indexOf(' has') + 1, { written: ' 5', expression: '' });
      return computed.set(pieces.indexOf(' bags'), { written: ' 5', expression: '' });
    });
    let asked = 0;
    const model = { tokenizer: gpt2, computedIn: () => at[asked++]! } as unknown as DagGpt;
    const scores = await calculationScores(model, texts);
    const { computed, exact, overwritten, alsoComputed, inserted, failures } = scores;
    // Three results each, of which two have a calculation.
    expect([computed, exact].map(({ count, of }) => [count, of])).toEqual([
      [6, 9],
      [3, 6],
    ]);
    expect([overwritten.count, alsoComputed.count, inserted.count]).toEqual([3, 0, 3]);
    expect(failures).toHaveLength(6);
  });

  it('are refused where they are none', async () => {
    const prepare = (calculations: string) =>
      prepareText({ inputs: [], calculations, out: join(folder, 'no'), tokenizer: 'gpt2', val: 0.5 });
    const file = join(folder, 'no.jsonl');
    await expect(prepare(file)).rejects.toMatchObject({ code: 'io' });
    await writeFile(file, '\n');
    await expect(prepare(file)).rejects.toThrow('has no text');
    await writeFile(file, '{"text":"a"}\n{"answer":1}\n');
    await expect(prepare(file)).rejects.toThrow(
      'line 2: expected JSON with text, or with question and answer',
    );
    await writeFile(file, '{"text":"a"}\n');
    await expect(prepare(file)).rejects.toThrow('no.jsonl has too few texts to be split');
    const places = join(config.data.text, 'calculations.json');
    const whole = await readFile(places, 'utf8');
    await writeFile(places, whole.slice(1));
    expect(() => placesIn(config.data.text, 'train')).toThrow('is not a calculations.json of dag prepare');
    await writeFile(places, whole);
  });
});
