/**
 * Computes a value for a tree from its leaves up, without recursion: a tree of any depth and shape fits.
 * `children` gives a node's operands from the left, `combine` its value from theirs.
 */
export function fold<Node, Value>(
  root: Node,
  children: (node: Node) => readonly Node[],
  combine: (node: Node, values: readonly Value[]) => Value,
): Value {
  const open: { node: Node; operands: readonly Node[]; values: Value[] }[] = [];
  let node = root;
  for (;;) {
    const operands = children(node);
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
