import { ExprError } from './error.js';

/** Bounds time and memory where a tree contains itself, or shares parts so that it has exponentially many nodes. */
const MAX_NODES = 1_000_000;

export function checkNodes(count: number): void {
  if (count <= MAX_NODES) return;
  throw new ExprError('too-long', `The expression has more than ${MAX_NODES} nodes, or contains itself.`);
}

/** The operands of a node from a caller, which may be a revoked proxy or have a getter that throws. */
function readable<Node>(children: (node: Node) => readonly Node[], node: Node): readonly Node[] {
  try {
    return children(node);
  } catch (error) {
    if (error instanceof ExprError) throw error;
    throw new ExprError('bad-expression', `A node of the expression cannot be read: ${String(error)}`);
  }
}

/**
 * Folds a tree from its leaves to its root, in post-order and without recursion, so that a tree may have any depth.
 *
 * @param children Returns the operands of a node, from the left. Called before they are visited.
 * @param combine Computes the value of a node from those of its operands.
 *
 * @throws ExprError `bad-expression` for a node that cannot be read, `too-long` for a tree of more than 1,000,000 nodes.
 */
export function fold<Node, Value>(
  root: Node,
  children: (node: Node) => readonly Node[],
  combine: (node: Node, values: readonly Value[]) => Value,
): Value {
  const open: { node: Node; operands: readonly Node[]; values: Value[] }[] = [];
  let node = root;
  for (let count = 1; ; count++) {
    checkNodes(count);
    const operands = readable(children, node);
    if (operands.length > 0) {
      open.push({ node, operands, values: [] });
      node = operands[0]!;
      continue;
    }
    let value = combine(node, []);
    for (;;) {
      const parent = open.at(-1);
      if (parent === undefined) return value;
      parent.values.push(value);
      if (parent.values.length < parent.operands.length) {
        node = parent.operands[parent.values.length]!;
        break;
      }
      open.pop();
      value = combine(parent.node, parent.values);
    }
  }
}
