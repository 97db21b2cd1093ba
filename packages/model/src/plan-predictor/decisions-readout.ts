import {
  affine,
  cast,
  clamp,
  gather,
  logSoftmax,
  mul,
  narrow,
  neg,
  reshape,
  scope,
  softmax,
  type Tensor,
} from '@dag/executor';
import type { DagTensors } from '@dag/tensorize';
import { checkList, checkObject, isWhole, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { hostPlan } from '../host-plan.js';
import { Linear } from '../gpt.js';
import { DECISIONS, FIRST_OPERATOR, NESTING } from '../reading/decisions.js';
import { TensorOps, type ReadoutOps } from './array-ops.js';
import { decidedPlan, FAULTS } from './decided-plan.js';
import { decidedOperators, decidedRegisters, OPERATOR_COLUMNS, SLOT_COLUMNS } from './decided-registers.js';
import { checkLayout, type RegisterLayout } from './layout.js';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import { atTokens } from './ops.js';
import type { Readout, ReadoutLoss, TargetName } from './readout.js';
import { meanOver } from './losses.js';
import { checkRecords, tokenFeatures, type TokenFeatures } from './token-features.js';

/** Outputs of the head in order: logits of what a token writes, of how it changes nesting, and of whether the text is complete. */
const OUTPUTS = { decisions: DECISIONS.length, nestings: NESTING.length, completes: 2 };
const WIDTH = OUTPUTS.decisions + OUTPUTS.nestings + OUTPUTS.completes;
const HEAD = 'plan.decide';
/** Initial bias toward the classes that write nothing. */
const NONE_BIAS = 3;

/** What the readout `decisions` predicts for each token. */
export type DecisionFields = {
  /** (B, T, classes) logits. */
  readonly [K in keyof typeof OUTPUTS]: Tensor;
} & {
  /** (B, T, n) registers that the tokens so far have written, flat; made when they are read. */
  readonly registers: Tensor;
};

/** Sizes of the registers of operators and of slots. */
const registerSizes = (layout: RegisterLayout) => {
  const K = decidedOperators(layout);
  return {
    operators: [K, OPERATOR_COLUMNS.length],
    slots: [K + 1, 2 * layout.digits + SLOT_COLUMNS.length],
  } as const;
};

/** Tokens decide what they write. Registers are sums of decisions, and the plan is counted from them: docs/readouts.md of the package. */
export const decisionsReadout: Readout<DecisionFields> = {
  name: 'decisions',
  holdsDigits: true,
  hasPowers: true,
  fitsAnyLayout: true,
  losses: {
    operators: classLoss('decisions'),
    nesting: classLoss('nestings'),
    complete: classLoss('completes'),
  },
  weights: { operators: 1, nesting: 1, complete: 0.3 },

  fields(layout) {
    const { operators, slots } = registerSizes(layout);
    return {
      ...{ decisions: [OUTPUTS.decisions], nestings: [OUTPUTS.nestings], completes: [OUTPUTS.completes] },
      registers: [operators[0] * operators[1] + slots[0] * slots[1]],
    };
  },

  make(width, layout, build) {
    const head = new Linear(HEAD, width, WIDTH, true, build);
    const bias = new Float32Array(WIDTH);
    bias[0] = bias[OUTPUTS.decisions] = NONE_BIAS;
    head.bias!.set(bias);
    return (hidden, features, { at }) => {
      const logits = split(new TensorOps(), head.forward(hidden));
      const asked = (x: Tensor): Tensor => (at ? atTokens(x, at) : x);
      let registers: Tensor | null = null;
      return {
        decisions: asked(logits.decisions),
        nestings: asked(logits.nestings),
        completes: asked(logits.completes),
        get registers() {
          return (registers ??= softRegisters(logits, features, layout, at));
        },
      };
    };
  },

  plan({ registers }, layout) {
    const sizes = registerSizes(layout);
    const [B, T] = registers.shape as [number, number];
    const ofOperators = sizes.operators[0] * sizes.operators[1];
    const ofSlots = sizes.slots[0] * sizes.slots[1];
    const flat = cast(reshape(registers, [B * T, ofOperators + ofSlots]), 'f64');
    const operators = reshape(narrow(flat, 1, 0, ofOperators), [B * T, ...sizes.operators]);
    const slots = reshape(narrow(flat, 1, ofOperators, ofSlots), [B * T, ...sizes.slots]);
    const { plan } = decidedPlan(new TensorOps(registers.device), { operators, slots }, layout, false);
    const shaped = (x: Tensor): Tensor => reshape(x, [B, T, ...x.shape.slice(1)]);
    const { V_mag, V_sign, O, G } = plan;
    return { V_mag: shaped(V_mag), V_sign: shaped(V_sign), O: shaped(O), G: shaped(G) };
  },

  harden(ops, hidden, features, layout) {
    const logits = split(ops, ops.double(ops.linear(HEAD, hidden)));
    const chosen = (x: typeof hidden, n: number) =>
      ops.equal(ops.argmax(x), ops.f64(Array.from({ length: n }, (_, c) => c)));
    const registers = decidedRegisters(
      ops,
      chosen(logits.decisions, OUTPUTS.decisions),
      chosen(logits.nestings, OUTPUTS.nestings),
      features,
      layout,
    );
    const { plan, fault } = decidedPlan(ops, registers, layout, true);
    // Within parentheses a text is not whole, whatever the head says.
    const open = ops.cumsum(ops.unsqueeze(features.opens, 2), 1);
    const isClosed = ops.asked(ops.atLeast(ops.f64(0), open));
    const complete = ops.mul(ops.slice(ops.softmax(ops.asked(logits.completes)), 2, 1, 2), isClosed);
    // The product of the probabilities of all that was chosen so far.
    const logChosen = (x: typeof hidden) => ops.log(ops.max(ops.softmax(x)));
    const logAll = ops.cumsum(ops.add(logChosen(logits.decisions), logChosen(logits.nestings)), 1);
    const certainty = ops.exp(ops.asked(logAll));
    return {
      ...plan,
      fault: fault(registers.total),
      complete: ops.reshape(complete, [-1]),
      confidence: ops.reshape(ops.mul(certainty, complete), [-1]),
    };
  },
};

/** What T tokens decide: classes of `DECISIONS` and of `NESTING`. */
export interface Decided {
  readonly records: readonly TokenRecord[];
  readonly decisions: ArrayLike<number>;
  readonly nestings: ArrayLike<number>;
}

/** What T tokens decide, with the probabilities of it. */
export interface SureDecisions extends Decided {
  /** (T) probability that a token's own decisions are right. */
  readonly certainties: readonly number[];
  /** (T) `confidence` of the text up to each token, see `HardPlan`. */
  readonly confidences: readonly number[];
}

/** Reads the decisions of T tokens from the fields of a prediction (1, T, …). */
export function sureDecisions(
  fields: Readonly<Record<string, Tensor>>,
  records: readonly TokenRecord[],
): SureDecisions {
  const T = records.length;
  const rows = (name: keyof typeof OUTPUTS): number[][] => {
    const flat = softmax(cast(fields[name]!, 'f64')).dataSync();
    const n = flat.length / T;
    return records.map((_, t) => Array.from(flat.subarray(t * n, (t + 1) * n)));
  };
  const [decisions, nestings, completes] = [rows('decisions'), rows('nestings'), rows('completes')];
  const classes = (probabilities: readonly number[][]): number[] =>
    probabilities.map((row) => row.indexOf(Math.max(...row)));
  const certainties = records.map((_, t) => Math.max(...decisions[t]!) * Math.max(...nestings[t]!));
  let product = 1;
  let open = 0;
  const confidences = certainties.map((certainty, t) => {
    open += records[t]!.opens ?? 0;
    product *= certainty;
    return open > 0 ? 0 : product * completes[t]![1]!;
  });
  return { records, decisions: classes(decisions), nestings: classes(nestings), certainties, confidences };
}

/**
 * The plan that tokens with these decisions write, one graph.
 *
 * @throws {ModelError} `bad-input` where they are no expression, or have more numbers or digits than the layout has room for.
 */
export function decidedTensors(decided: Decided, layout: RegisterLayout): DagTensors {
  return withDecided(decided, layout, 'last', ({ plan, fault, total }) => {
    const code = fault(total).item();
    if (code > 0) throw new ModelError('bad-input', `these decisions are no expression: ${FAULTS[code]}`);
    return hostPlan(plan, layout.depth);
  });
}

/**
 * The plans that these decisions write up to each of T tokens, T graphs. Those of a prefix that is no expression have no meaning.
 *
 * @throws {ModelError} `bad-input` where the arguments have the wrong types.
 */
export function decidedPrefixes(decided: Decided, layout: RegisterLayout): DagTensors {
  return withDecided(decided, layout, 'each', ({ plan }) => hostPlan(plan, layout.depth));
}

/**
 * (T) the node of the plan that each token writes: that of its number, or the result of its operator's step; −1 where it writes none. An
 * exponent writes to the step of its power.
 */
export function decidedNodes(decided: Decided, layout: RegisterLayout): number[] {
  return withDecided(decided, layout, 'last', ({ nodes }) => {
    const { ofSlots, ofOperators } = nodes();
    const [slots, operators] = [ofSlots.dataSync(), ofOperators.dataSync()];
    let operator = -1;
    return decided.records.map((record, t) => {
      const decision = decided.decisions[t]!;
      if (decision >= FIRST_OPERATOR) return (operators[++operator] ?? 0) - 1;
      if (record.digits.length === 0 && !record.point && decision <= 0) return -1;
      return (slots[operator + 1] || (operators[operator] ?? 0)) - 1;
    });
  });
}

function withDecided<R>(
  decided: Decided,
  layout: RegisterLayout,
  tokens: 'last' | 'each',
  read: (made: ReturnType<typeof decidedPlan<Tensor>> & { readonly total: Tensor }) => R,
): R {
  checkObject('what tokens decide, { records, decisions, nestings },', decided);
  checkLayout(layout);
  const { records, decisions, nestings } = decided;
  checkList('token records as an array', records);
  const T = records.length;
  if (T === 0) throw new ModelError('bad-input', 'these decisions are no expression: there is no token');
  checkRecords(records, [1, T]);
  checkClasses('decisions', decisions, T, OUTPUTS.decisions);
  checkClasses('nestings', nestings, T, OUTPUTS.nestings);
  return scope(() => {
    const at = tokens === 'last' ? new TensorOps().f64([T - 1]) : null;
    const ops = new TensorOps(undefined, new Map(), at);
    const oneHot = (classes: ArrayLike<number>, n: number): Tensor => {
      const rows = new Float64Array(T * n);
      for (let t = 0; t < T; t++) rows[t * n + Math.max(0, classes[t]!)] = 1;
      return ops.f64(Array.from(rows), [1, T, n]);
    };
    const registers = decidedRegisters(
      ...([ops, oneHot(decisions, OUTPUTS.decisions), oneHot(nestings, OUTPUTS.nestings)] as const),
      ...([tokenFeatures(records, [1, T], layout), layout] as const),
    );
    return read({ ...decidedPlan(ops, registers, layout, true), total: registers.total });
  });
}

/** @throws {ModelError} `bad-input` unless there is a class from 0, or −1 for none, for each of T tokens. */
function checkClasses(name: string, classes: ArrayLike<number>, T: number, count: number): void {
  const isList = Array.isArray(classes) || ArrayBuffer.isView(classes);
  if (isList && classes.length === T && Array.from(classes).every((c) => c === -1 || isWhole(c, count)))
    return;
  throw new ModelError(
    'bad-input',
    `${name} are ${T} classes from -1 to ${count - 1}, given ${named(classes)}`,
  );
}

/** The outputs of the head (B, T, n) in parts. */
function split<T>(ops: Pick<ReadoutOps<T>, 'slice'>, outputs: T): Record<keyof typeof OUTPUTS, T> {
  const { decisions, nestings } = OUTPUTS;
  return {
    decisions: ops.slice(outputs, 2, 0, decisions),
    nestings: ops.slice(outputs, 2, decisions, decisions + nestings),
    completes: ops.slice(outputs, 2, decisions + nestings, WIDTH),
  };
}

/** Registers of probabilities in place of decisions, (B, T, n) or (B, 1, n) with `at`. */
export function softRegisters(
  { decisions, nestings }: Record<keyof typeof OUTPUTS, Tensor>,
  features: TokenFeatures,
  layout: RegisterLayout,
  at: readonly number[] | undefined,
): Tensor {
  const { device } = decisions;
  const double = (x: Tensor): Tensor => cast(x, 'f64');
  const ops = new TensorOps(device, new Map(), at ? new TensorOps(device).f64(at) : null);
  const [B, T] = features.count.shape as [number, number];
  const { operators, slots } = decidedRegisters(
    ops,
    softmax(double(decisions)),
    softmax(double(nestings)),
    features,
    layout,
  );
  const asked = at ? 1 : T;
  return ops.concat(
    [operators, slots].map((x) => reshape(x, [B, asked, x.size / (B * asked)])),
    2,
  );
}

/** Cross entropy of logits (B, T, classes): the mean over the decided tokens whose target is not −1. */
function classLoss(name: keyof typeof OUTPUTS & TargetName): ReadoutLoss<DecisionFields> {
  return {
    targets: ['decided', name],
    compute(fields, targets) {
      const logits = fields[name];
      const target = reshape(targets[name], logits.shape.slice(0, 2));
      const counts = clamp(affine(cast(target, 'f32'), 1, 1), 0, 1);
      const nll = neg(gather(logSoftmax(logits), cast(clamp(cast(target, 'f32'), 0), 'i32')));
      return meanOver(mul(nll, cast(counts, nll.dtype)), targets.decided);
    },
  };
}
