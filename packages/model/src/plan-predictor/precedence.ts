import {
  add,
  affine,
  matmul,
  mul,
  narrow,
  permute,
  reshape,
  select,
  sigmoid,
  stack,
  sub,
  sum,
  type DagTensorFields,
  type Tensor,
} from '@dag/executor';
import type { RegisterLayout } from './layout.js';
import { atMostOne, address, columns, constant, join, not, unsqueeze } from './ops.js';
import type { Operators } from './operators.js';

/** Temperature of the comparison of two priorities. */
const TAU = 0.25;

/** b (N, K, K): [i, j] is the probability that operator i binds before operator j, from priorities (N, K). */
export function compare(priority: Tensor): Tensor {
  const [N, K] = priority.shape as [number, number];
  const left = reshape(priority, [N, K, 1]);
  const right = reshape(priority, [N, 1, K]);
  return sigmoid(affine(sub(left, right), 1 / TAU));
}

/**
 * Precedence: turns operator classes and priorities into steps, O (N, D, 2D) and G (N, D). Sums and products of the comparisons b(i, j)
 * say which operator is an ancestor of which, which operators share a step, the order of the steps, and what each step reads.
 */
export function placeSteps(
  operators: Operators,
  binds: Tensor,
  slotNode: Tensor,
  layout: RegisterLayout,
): Pick<DagTensorFields, 'O' | 'G'> {
  const { depth } = layout;
  const { active, linear, log, negate, right } = operators;
  const ancestor = ancestors(binds, active);
  const parent = parents(ancestor);
  const merged = mergedIntoParent(parent, linear, log);
  const leads = mul(active, not(sum(merged, 1)));
  const row = address(stepRow(ancestor, leads), depth);
  const member = stepMembers(row, leads, merged);

  // Operands of each operator (N, K, 2D): numbers beside it that no other operator takes, and the steps of its children.
  const takesRight = columns(depth, active, (k) => {
    if (k === depth - 1) return constant([1], [1], active);
    const next = select(active, 1, k + 1);
    return add(not(next), mul(next, at(binds, k, k + 1)));
  });
  const takesLeft = columns(depth, active, (k) => {
    const first = not(select(negate, 1, k));
    return k === 0 ? first : mul(first, not(at(binds, k - 1, k)));
  });
  const numbers = add(
    mul(unsqueeze(takesLeft), narrow(slotNode, 1, 0, depth)),
    mul(unsqueeze(mul(right, takesRight)), narrow(slotNode, 1, 1, depth)),
  );
  const steps = matmul(mul(sub(parent, merged), childCoefficients(right)), row);
  const operands = join(numbers, steps);

  const used = atMostOne(sum(mul(unsqueeze(leads), row), 1));
  const O = matmul(permute(member, [0, 2, 1]), operands);
  const idle = mul(unsqueeze(not(used)), identitySteps(depth, O));
  const G = sum(mul(unsqueeze(mul(leads, add(linear, negate))), row), 1);
  return { O: add(O, idle), G: add(G, not(used)) };
}

/**
 * A (N, K, K): [k, j] is the probability that operator k is an ancestor of operator j in the expression's tree.
 * Left of k (j < k): Π_{j ≤ i < k} b(i, k); right of it (j > k): Π_{k < i ≤ j} (1 − b(k, i)).
 */
function ancestors(binds: Tensor, active: Tensor): Tensor {
  const [N, K] = active.shape as [number, number];
  const above: Tensor[] = new Array<Tensor>(K);
  const mask = (test: (k: number) => boolean): Tensor =>
    constant(
      Array.from({ length: K }, (_, k) => (test(k) ? 1 : 0)),
      [K],
      active,
    );
  const next = (products: Tensor | undefined, factor: Tensor, adjacent: Tensor, inside: Tensor): Tensor =>
    mul(factor, products ? add(mul(products, inside), adjacent) : adjacent);
  let products: Tensor | undefined;
  for (let j = K - 1; j >= 0; j--) {
    const factor = select(binds, 1, j);
    products = next(
      products,
      factor,
      mask((k) => k === j + 1),
      mask((k) => k > j + 1),
    );
    above[j] = products;
  }
  products = undefined;
  for (let j = 0; j < K; j++) {
    const factor = not(select(binds, 2, j));
    products = next(
      products,
      factor,
      mask((k) => k === j - 1),
      mask((k) => k < j - 1),
    );
    above[j] = add(above[j]!, products);
  }
  const both = mul(reshape(active, [N, K, 1]), reshape(active, [N, 1, K]));
  return mul(stack(above, 2), both);
}

/** C (N, K, K): [k, i] is the probability that k is the parent of i, an ancestor with none between: A(k,i)·Π_j (1 − A(k,j)·A(j,i)). */
function parents(ancestor: Tensor): Tensor {
  const [N, K] = ancestor.shape as [number, number];
  let parent = ancestor;
  for (let j = 0; j < K; j++) {
    const through = mul(
      reshape(select(ancestor, 2, j), [N, K, 1]),
      reshape(select(ancestor, 1, j), [N, 1, K]),
    );
    parent = mul(parent, not(through));
  }
  return parent;
}

/** M (N, K, K): [k, i] is the probability that i is merged into the step of its parent k, as a left child of the same domain. */
function mergedIntoParent(parent: Tensor, linear: Tensor, log: Tensor): Tensor {
  const [N, K] = linear.shape as [number, number];
  const pair = (x: Tensor): Tensor => mul(reshape(x, [N, K, 1]), reshape(x, [N, 1, K]));
  return mul(
    mul(parent, add(pair(linear), pair(log))),
    triangle(K, parent, (k, i) => i < k),
  );
}

/** (N, K): the index of the step that each operator leads: the number of leading operators before it in post-order. */
function stepRow(ancestor: Tensor, leads: Tensor): Tensor {
  const [N, K] = leads.shape as [number, number];
  // j < i comes before i unless it is an ancestor of i; j > i comes before i only where i is its ancestor.
  const left = mul(
    not(ancestor),
    triangle(K, ancestor, (j, i) => j < i),
  );
  const right = mul(
    permute(ancestor, [0, 2, 1]),
    triangle(K, ancestor, (j, i) => j > i),
  );
  return reshape(matmul(reshape(leads, [N, 1, K]), add(left, right)), [N, K]);
}

/** (N, K, D): the step that each operator belongs to: the one it leads, or that of its parent where it is merged. */
function stepMembers(row: Tensor, leads: Tensor, merged: Tensor): Tensor {
  const [N, K, D] = row.shape as [number, number, number];
  const leading = mul(unsqueeze(leads), row);
  const members: Tensor[] = new Array<Tensor>(K);
  for (let i = K - 1; i >= 0; i--) {
    let member = reshape(narrow(leading, 1, i, 1), [N, D]);
    for (let k = i + 1; k < K; k++) member = add(member, mul(unsqueeze(at(merged, k, i)), members[k]!));
    members[i] = member;
  }
  return stack(members, 1);
}

/** (N, K, K): [k, i] is the coefficient of child i's step in operator k: 1 on the left, `right` on the right. */
function childCoefficients(right: Tensor): Tensor {
  const [N, K] = right.shape as [number, number];
  const onRight = mul(
    reshape(right, [N, K, 1]),
    triangle(K, right, (k, i) => i > k),
  );
  return add(
    onRight,
    triangle(K, right, (k, i) => i < k),
  );
}

/** (D, 2D) coefficients of unused steps: step i passes on the result of step i − 1, step 0 passes on node 0. */
function identitySteps(depth: number, like: Tensor): Tensor {
  const O = new Array<number>(2 * depth * depth).fill(0);
  for (let i = 0; i < depth; i++) O[i * 2 * depth + (i === 0 ? 0 : depth + i - 1)] = 1;
  return constant(O, [depth, 2 * depth], like);
}

function triangle(K: number, like: Tensor, test: (row: number, column: number) => boolean): Tensor {
  const values = Array.from({ length: K * K }, (_, n) => (test(Math.floor(n / K), n % K) ? 1 : 0));
  return constant(values, [K, K], like);
}

/** Element [i, j] of each matrix: (N, K, K) → (N). */
function at(x: Tensor, i: number, j: number): Tensor {
  return select(select(x, 1, i), 1, j);
}
