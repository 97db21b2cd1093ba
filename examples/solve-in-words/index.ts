/**
 * A word problem, by two shipped models: `problems` chooses the plan of its answer, `writing` writes a solution in which each number
 * in «…» is computed. Another problem goes on the command line: npm start --workspace=@dag/example-solve-in-words -- "Ana has 3 …"
 */
import { ModelError } from '@dag/model';
import { describe } from '@dag/tensorize';
import { loadPretrained } from '@dag/train';

const text =
  process.argv.slice(2).join(' ') ||
  'Mia had 12 pears and 7 plums. She ate 5 pears. How many pears are left?';

try {
  const { expression, value, confidence, numbers, tensors } = (await loadPretrained('problems')).predict(
    text,
  );
  const those = (isUsed: boolean): string =>
    numbers
      .filter((number) => number.isUsed === isUsed)
      .map(({ begin, end }) => text.slice(begin, end))
      .join(', ') || 'none';
  console.log(`${text}\n`);
  console.log(`The plan:\n${describe(tensors).replace(/^/gm, '  ')}\n`);
  console.log(`${expression} = ${value}, ${(100 * confidence).toFixed(1)} % sure`);
  console.log(`numbers used: ${those(true)}; left out: ${those(false)}\n`);
} catch (error) {
  if (!(error instanceof ModelError)) throw error;
  console.error(`${text}: ${error.message}`);
  process.exit(1);
}

const writing = await loadPretrained('writing');
const { text: continued, calculations } = writing.generate(`${text}\n`, {
  temperature: 0,
  maxNewTokens: 200,
});
// A solution ends with its answer.
const [solution] = /^[^]*?\n#### .*|^[^]*/.exec(continued)!;
let marked = '';
let from = 0;
const computed = calculations.filter(({ at }) => at < solution.length);
for (const { at, written } of computed) {
  marked += `${solution.slice(from, at)}«${written}»`;
  from = at + written.length;
}
console.log(`A solution in words:\n${(marked + solution.slice(from)).trim().replace(/^/gm, '  ')}\n`);
for (const { value, expression } of computed) console.log(`computed: ${expression} = ${value}`);
