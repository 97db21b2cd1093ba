/**
 * A word problem, by two shipped models: `problems` chooses the plan of its answer, `writing` says it in words. Each number in «…» is computed.
 * Then `writing` solves the problem alone: what it computes is exact, but a model of two million weights often takes the wrong numbers.
 * Another problem goes on the command line: npm start --workspace=@dag/example-solve-in-words -- "Ana has 3 …"
 */
import { ModelError, type Generated } from '@dag/model';
import { describe } from '@dag/tensorize';
import { loadPretrained } from '@dag/train';

const text =
  process.argv.slice(2).join(' ') ||
  'Mia had 12 pears and 7 plums. She ate 5 pears. How many pears are left?';

/** A generated text with its computed numbers in «…». */
function marked({ text, calculations }: Generated): string {
  let written = '';
  let from = 0;
  for (const { at, written: digits } of calculations) {
    written += `${text.slice(from, at)}«${digits}»`;
    from = at + digits.length;
  }
  return written + text.slice(from);
}

const problems = await loadPretrained('problems');
const writing = await loadPretrained('writing');
try {
  const { expression, value, confidence, numbers, tensors } = problems.predict(text);
  const those = (isUsed: boolean): string =>
    numbers
      .filter((number) => number.isUsed === isUsed)
      .map(({ begin, end }) => text.slice(begin, end))
      .join(', ') || 'none';
  console.log(`${text}\n`);
  console.log(`The plan:\n${describe(tensors).replace(/^/gm, '  ')}\n`);
  console.log(`${expression} = ${value}, ${(100 * confidence).toFixed(1)} % sure`);
  console.log(`numbers used: ${those(true)}; left out: ${those(false)}\n`);

  const options = { temperature: 0, stop: '\n', maxNewTokens: 40 };
  const answer = writing.generate(`${text}\n${expression} =`, options);
  console.log(`In words:\n  ${expression} =${marked(answer)}\n`);
} catch (error) {
  if (!(error instanceof ModelError)) throw error;
  console.error(`${text}: ${error.message}`);
  process.exit(1);
}

// Its own solution ends with its answer, behind ####.
const alone = writing.generate(`${text}\n`, { temperature: 0, maxNewTokens: 120 });
const [solution] = /^[^]*?\n#### .*|^[^]*/.exec(marked(alone))!;
console.log(`A solution of its own:\n${solution.trim().replace(/^/gm, '  ')}`);
