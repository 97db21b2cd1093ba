/**
 * From the text of an expression to its value and its gradients. Another expression than the one below goes on the
 * command line: npm start --workspace=@dag/example-execute-expression -- "1 / (2 - 5)"
 */
import { executeWithGradients } from '@dag/executor';
import { ExprError } from '@dag/expr';
import { describe, requiredDepth, tensorize, TensorizeError, type DagTensors } from '@dag/tensorize';

const text = process.argv.slice(2).join(' ') || '2.5 * 3.0 + 1.0';

try {
  const tensors = tensorize(text, { depth: requiredDepth(text) });
  const { values, V_mag: slopes } = executeWithGradients(tensors);

  console.log(`The expression ${text}\n`);
  console.log('as a program: n0, n1, … are its numbers, s0, s1, … its steps');
  console.log(indent(describe(tensors)));
  console.log(`\nexecuted: ${values[0]}\n`);
  console.log('and differentiated: how fast the value grows with each number');
  for (const node of numbersOf(tensors)) {
    // A number is sign · magnitude, so d/d(number) = sign · d/d(magnitude).
    const sign = tensors.V_sign[node]!;
    const number = sign * tensors.V_mag[node]!;
    console.log(indent(`d value / d n${node} = ${sign * slopes[node]!}   (n${node} = ${number})`));
  }
} catch (error) {
  if (!(error instanceof ExprError || error instanceof TensorizeError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/** The initial nodes that some step reads; a plan as deep as needed may have spare ones. */
function numbersOf({ depth, O }: DagTensors): number[] {
  const nodes = Array.from({ length: depth }, (_, node) => node);
  return nodes.filter((node) => nodes.some((step) => O[step * 2 * depth + node] !== 0));
}

function indent(lines: string): string {
  return lines.replace(/^/gm, '  ');
}
