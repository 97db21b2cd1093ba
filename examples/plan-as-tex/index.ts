/**
 * The plan that the shipped model predicts for a text, typeset: as an expression, as a node of mathjs, as TeX. Another text goes
 * on the command line: npm start --workspace=@dag/example-plan-as-tex -- "seven minus twelve over four"
 */
import { toMathNode } from '@dag/expr/mathjs';
import { describe, detensorize } from '@dag/tensorize';
import { loadPretrained } from '@dag/train';

const text = process.argv.slice(2).join(' ') || 'What is 2.5 divided by (3 minus 1) times 4?';

const model = await loadPretrained();
const { tensors, value } = model.predict(text);

console.log(`${text}\n`);
console.log(describe(tensors).replace(/^/gm, '  '));
console.log(`\nTeX:   ${toMathNode(detensorize(tensors)).toTex({ parenthesis: 'auto' })}`);
console.log(`value: ${value}`);
