/**
 * A formula with two unknown constants, fitted to data by gradient descent: the executor runs the formula on the
 * whole column of data at once and differentiates it.
 */
import { executeWithGradients } from '@dag/executor';
import { columnGradients, describe, tensorizeWithSymbols } from '@dag/tensorize';

const formula = 'a * x + b / x';
const truth = { a: 1.7, b: -0.8 };
const steps = 200;
const rate = 0.1;

// 60 measurements between x = 0.5 and x = 3, each off by up to 0.1.
const x = Array.from({ length: 60 }, (_, i) => 0.5 + (2.5 * i) / 59);
const y = x.map((at, i) => truth.a * at + truth.b / at + 0.1 * Math.sin(1000 * i));

const template = tensorizeWithSymbols(formula);
console.log(`The formula ${formula}, as steps (a, x and b have no values yet):\n`);
console.log(describe(template.tensors).replace(/^/gm, '  '));
console.log(`\nFitting a and b to ${x.length} noisy measurements:\n`);
console.log('   step      loss        a        b');

let [a, b] = [0, 0];
for (let step = 0; step <= steps; step++) {
  const { values, gradients } = columnGradients(template, { a, b, x }, executeWithGradients);
  const residuals = values.map((value, row) => value - y[row]!);
  const loss = mean(residuals.map((residual) => residual ** 2));
  // loss = mean (value − y)², so d loss / d a = mean 2 · (value − y) · d value / d a.
  const slopeOf = (name: string): number =>
    2 * mean(residuals.map((residual, row) => residual * gradients[name]![row]!));

  if (step % 25 === 0) console.log(row(step, loss));
  a -= rate * slopeOf('a');
  b -= rate * slopeOf('b');
}

console.log(`\nfitted   a = ${a.toFixed(3)}   b = ${b.toFixed(3)}`);
console.log(`true     a = ${truth.a.toFixed(3)}   b = ${truth.b.toFixed(3)}`);

function mean(numbers: Float64Array): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function row(step: number, loss: number): string {
  const columns = [String(step), loss.toFixed(5), a.toFixed(3), b.toFixed(3)];
  return columns.map((text, i) => text.padStart(i === 0 ? 7 : i === 1 ? 10 : 9)).join('');
}
