import { describe, expect, it } from '@jest/globals';
import { execute, tensor, type Tensor } from '@dag/executor';
import { ParameterBuilder } from '../src/gpt.js';
import { PlanPredictor } from '../src/plan-predictor/plan-predictor.js';
import { DECISIONS, decisionOf, NESTING, THEN } from '../src/reading/decisions.js';
import { tokenizer } from '../src/index.js';
import { generateFrame } from '../../train/src/reading/frames.js';
import { decode } from './decode.js';

const gpt2 = tokenizer('gpt2');
const WIDTH = DECISIONS.length + NESTING.length + 2;

interface Label { readonly id: number; readonly decision: number; readonly nesting: number; readonly complete: boolean }

/** Tokens of words, of which the last one of each word decides. */
function labelsOf(words: readonly { text: string; decision: string; nesting: number | 'then'; complete: boolean | null }[]): Label[] {
  return words.flatMap(({ text, decision, nesting, complete }) =>
    gpt2.encode(` ${text}`).map((id, i, ids) => {
      const decides = i === ids.length - 1;
      return {
        id,
        decision: decides ? decisionOf(decision) : 0,
        nesting: decides ? (nesting === 'then' ? THEN : nesting) : 0,
        complete: decides && complete === true,
      };
    }),
  );
}

/** Hidden states that are the logits of the labels. */
function hiddenOf(labels: readonly Label[], certainty = 50): Tensor {
  const rows = new Float32Array(labels.length * WIDTH);
  labels.forEach(({ decision, nesting, complete }, t) => {
    rows[t * WIDTH + decision] = certainty;
    rows[t * WIDTH + DECISIONS.length + NESTING.indexOf(nesting)] = certainty;
    rows[(t + 1) * WIDTH - 2 + Number(complete)] = certainty;
  });
  return tensor(rows, [1, labels.length, WIDTH]);
}

function predictor(depth: number, digits: number): PlanPredictor {
  const build = new ParameterBuilder(null);
  const made = new PlanPredictor({ depth, digits, readout: 'decisions' }, WIDTH, build);
  build.parameters.get('plan.decide.weight')!.set(Float32Array.from({ length: WIDTH ** 2 }, (_, i) => Number(i % (WIDTH + 1) === 0)));
  build.parameters.get('plan.decide.bias')!.set(new Float32Array(WIDTH));
  return made;
}

describe('a hard plan', () => {
  it('has the value of its decisions', () => {
    const planner = predictor(24, 30);
    let bad = 0;
    for (let index = 0; index < 300; index++) {
      const frame = generateFrame({ seed: 1, index, numbers: 8, maxDigits: 6, maxDecimals: 6, phrases: 'all' });
      const labels = labelsOf(frame.words);
      const records = labels.map(({ id }) => gpt2.record(id));
      const plan = planner.hardPlan(hiddenOf(labels), records, { at: [labels.length - 1] });
      const data = (x: Tensor) => Float64Array.from(x.dataSync());
      const value = execute({ depth: 24, size: 1, V_mag: data(plan.V_mag), V_sign: data(plan.V_sign), O: data(plan.O), G: data(plan.G) })[0]!;
      const meant = decode(
        labels.map(({ decision, nesting }, t) => {
          const { digits, begins, point } = records[t]!;
          return { decision, nesting, digits: digits.join(''), point, begins: begins && digits.length > 0 };
        }),
      );
      const fault = plan.fault!.item();
      const ok = Object.is(value, meant.value) || Math.abs(value - meant.value) <= 1e-12 * Math.abs(meant.value);
      if (!ok || fault || meant.reason) {
        if (bad++ < 12) console.log(frame.words.map((w) => `${w.text}${w.decision === 'none' ? '' : ':' + w.decision}${w.nesting ? '{' + w.nesting + '}' : ''}`).join(' '), value, meant, fault);
      }
    }
    expect(bad).toBe(0);
  });
});
