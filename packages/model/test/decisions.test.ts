import { describe, expect, it } from '@jest/globals';
import { execute, tensor, type Tensor } from '@dag/executor';
import { randomStream } from '@dag/expr';
import type { DagTensors } from '@dag/tensorize';
import { ParameterBuilder } from '../src/gpt.js';
import { PlanPredictor } from '../src/plan-predictor/plan-predictor.js';
import { DECISIONS, decisionOf, NESTING, THEN } from '../src/reading/decisions.js';
import { tokenizer } from '../src/index.js';
import { generateFrame, type Word } from '../../train/src/reading/frames.js';
import { decidedValue, NESTINGS, type Label } from './decided-value.js';

const gpt2 = tokenizer('gpt2');
const WIDTH = DECISIONS.length + NESTING.length + 2;

/** Tokens of words; the last one of each word decides. */
const labelsOf = (words: readonly Word[]): Label[] =>
  words.flatMap(({ text, decision, nesting, complete }) =>
    gpt2.encode(` ${text}`).map((id, i, ids) => {
      const decides = i === ids.length - 1;
      return {
        record: gpt2.record(id),
        decision: decides ? decisionOf(decision) : 0,
        nesting: !decides ? 0 : nesting === 'then' ? THEN : nesting,
        complete: decides && complete === true,
      };
    }),
  );

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

/** Its hidden states are the logits themselves. */
function predictor(depth: number, digits: number): PlanPredictor {
  const build = new ParameterBuilder(null);
  const made = new PlanPredictor({ depth, digits, readout: 'decisions' }, WIDTH, build);
  const identity = Float32Array.from({ length: WIDTH ** 2 }, (_, i) => Number(i % (WIDTH + 1) === 0));
  build.parameters.get('plan.decide.weight')!.set(identity);
  build.parameters.get('plan.decide.bias')!.set(new Float32Array(WIDTH));
  return made;
}

interface Read extends DagTensors {
  readonly fault: number;
  readonly complete: number;
  readonly value: number;
}

function read(planner: PlanPredictor, labels: readonly Label[]): Read {
  const records = labels.map(({ record }) => record);
  const plan = planner.hardPlan(hiddenOf(labels), records, { at: [labels.length - 1] });
  const of = (x: Tensor): Float64Array => Float64Array.from(x.dataSync());
  const { V_mag, V_sign, O, G, fault, complete } = plan;
  const graph = {
    depth: planner.config.depth,
    size: 1,
    V_mag: of(V_mag),
    V_sign: of(V_sign),
    O: of(O),
    G: of(G),
  };
  return { ...graph, value: execute(graph)[0]!, fault: fault!.item(), complete: complete!.item() };
}

/** Chains that are one step round differently. */
const isNear = (a: number, b: number): boolean =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-12 * Math.abs(b);

describe('a hard plan', () => {
  it('has the value of its decisions', () => {
    const planner = predictor(24, 30);
    let bad = 0;
    for (let index = 0; index < 300; index++) {
      const frame = generateFrame({
        seed: 1,
        index,
        numbers: 8,
        maxDigits: 6,
        maxDecimals: 6,
        phrases: 'all',
      });
      const labels = labelsOf(frame.words);
      const { value, fault } = read(planner, labels);
      const meant = decidedValue(labels);
      if (fault > 0 !== (meant === null) || (meant !== null && !isNear(value, meant)))
        if (bad++ < 12)
          console.log(
            frame.words
              .map(
                (w) =>
                  `${w.text}${w.decision === 'none' ? '' : ':' + w.decision}${w.nesting ? '{' + w.nesting + '}' : ''}`,
              )
              .join(' '),
            value,
            meant,
            fault,
          );
    }
    expect(bad).toBe(0);
  });
  it('fuzz', () => {
    const planner = predictor(8, 12);
    let bad = 0;
    const counts = new Array(8).fill(0);
    const words = [' 3', ' 4', ' 25', '.', '5', ' the', ' .', ' '];
    for (let index = 0; index < 3000; index++) {
      const random = randomStream(5, index);
      const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
      const labels: Label[] = [];
      const texts: string[] = [];
      const n = 1 + random.below(7);
      const put = (text: string, decision: number, nesting = pick(NESTINGS)) => {
        texts.push(`${text}:${DECISIONS[decision]}${nesting ? `{${nesting}}` : ''}`);
        labels.push({ record: gpt2.record(gpt2.encode(text)[0]!), decision, nesting, complete: false });
      };
      const wild = random.chance(0.3);
      for (let i = 0; i < n; i++) {
        if (wild) {
          put(pick(words), random.chance(0.5) ? 0 : random.below(DECISIONS.length));
          continue;
        }
        if (i > 0) put(' the', pick([2, 3, 4, 5, 6, 7, 8, 21, 28]));
        while (random.chance(0.3)) put(' the', pick([12, 13, 16, 18]));
        put(pick(words.slice(0, 3)), 0);
        if (random.chance(0.1)) put(' the', 1);
        while (random.chance(0.2)) put(' the', pick([22, 23, 24, 27, 28]));
      }
      const { value, fault } = read(planner, labels);
      const meant = decidedValue(labels);
      counts[fault]++;
      if (
        (fault === 0 && meant === null) ||
        (fault > 1 && meant !== null) ||
        (fault === 0 && meant !== null && !isNear(value, meant))
      )
        if (bad++ < 20) console.log(texts.join(' '), value, meant, fault);
    }
    console.log(counts);
    expect(bad).toBe(0);
  });
});
