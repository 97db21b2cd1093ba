import { Graph, layout, type EdgeLabel, type GraphLabel, type NodeLabel, type Point } from '@dagrejs/dagre';
import { checkObject, checkOptions } from '../check-tensors.js';
import { TensorizeError } from '../error.js';
import { html, type Html } from './html.js';
import type { Differences, PlanEdge, PlanGraph, PlanNode } from './plan-graph.js';

/** Estimated widths of a wide digit and letter in pixels, since fonts are not known here; text must stay inside its box. */
const VALUE_DIGIT = 8.4;
const LABEL_LETTER = 6.4;
const NODE_HEIGHT = 44;
const EDGE_LABEL_HEIGHT = 18;
const NOTE_HEIGHT = 14;

const noteHeight = (note: string): number => (note === '' ? 0 : NOTE_HEIGHT);

/** Options of `planSvg`. */
export interface PlanSvgOptions {
  /** Text alternative for screen readers. */
  readonly label: string;
  /** What to mark as different from another plan. Default: nothing. */
  readonly marked?: Differences;
  /** A second line for an edge or a node, such as its gradient; '' for none. Default: none. */
  readonly note?: (of: PlanEdge | PlanNode) => string;
}

/**
 * Draws a plan as SVG: initial nodes and steps as boxes with their value, operands as arrows with their coefficient. Colours
 * come from the page's style (`PLAN_STYLE`). Nodes have `data-node`, their name; edges have `data-edge`, `s1:0` for the operand of
 * column 0 in step 1.
 *
 * @throws TensorizeError `bad-option` where `graph` is not what `planGraph` returns, there is no label, or an option is unknown
 */
export function planSvg(graph: PlanGraph, options: PlanSvgOptions): Html {
  checkObject('a graph, as planGraph returns it', graph?.nodes);
  if (typeof options?.label !== 'string')
    throw new TensorizeError('bad-option', `expected a label, such as { label: 'the plan of 2 + 3' }`);
  checkOptions("{ label: 'the plan of 2 + 3' }", options, ['label', 'marked', 'note']);
  const { label, marked = NOTHING, note = () => '' } = options;
  const laidOut = layOut(graph, note);
  const { width = 0, height = 0 } = laidOut.graph();
  const edges = graph.edges.map((edge) => {
    const { points = [], x = 0, y = 0 } = laidOut.edge(edge.from, edge.to, edgeName(edge))!;
    return drawEdge(edge, points, { x, y }, marked.edges.has(edge), note(edge));
  });
  const nodes = graph.nodes.map((node) => {
    const classes = [
      domainOf(node),
      node.name === graph.result && 'result',
      marked.nodes.has(node) && 'marked',
      marked.results.has(node) && 'differs',
    ];
    return drawNode(node, laidOut.node(node.name), classes.filter(Boolean).join(' '), note(node));
  });
  const size = `${number(width)} ${number(height)}`;
  // A minimum width keeps the numbers readable; a wide drawing scrolls instead of shrinking.
  const style = `min-width:${Math.min(width, Math.round(0.75 * width))}px`;
  return html`<svg
    class="plan"
    viewBox="0 0 ${size}"
    width="${number(width)}"
    height="${number(height)}"
    style="${style}"
    role="img"
    aria-label="${label}"
  >
    ${edges}${nodes}
  </svg>`;
}

const NOTHING: Differences = { nodes: new Set(), edges: new Set(), results: new Set() };

type LaidOut = Graph<GraphLabel, NodeLabel, EdgeLabel>;

function layOut(graph: PlanGraph, note: (of: PlanEdge | PlanNode) => string): LaidOut {
  // A multigraph: two operands of a step may be the same node.
  const g: LaidOut = new Graph<GraphLabel, NodeLabel, EdgeLabel>({ multigraph: true });
  g.setGraph({ rankdir: 'TB', nodesep: 20, edgesep: 14, ranksep: 34, marginx: 6, marginy: 6 });
  for (const node of graph.nodes) {
    const text = Math.max(
      VALUE_DIGIT * valueText(node).length,
      LABEL_LETTER * Math.max(labelText(node).length, note(node).length),
    );
    g.setNode(node.name, {
      width: Math.max(54, text + 22),
      height: NODE_HEIGHT + noteHeight(note(node)),
    });
  }
  for (const edge of graph.edges) {
    const width = LABEL_LETTER * Math.max(coefficientText(edge).length, note(edge).length) + 12;
    const height = EDGE_LABEL_HEIGHT + noteHeight(note(edge));
    g.setEdge(edge.from, edge.to, { width, height, labelpos: 'c' }, edgeName(edge));
  }
  // Keep the numbers in the order of the text from left to right.
  const initial = graph.nodes.filter(({ gate }) => gate === null);
  layout(g, {
    constraints: initial.slice(1).map(({ name }, i) => ({ left: initial[i]!.name, right: name })),
  });
  return g;
}

const edgeName = ({ operand }: PlanEdge): string => String(operand);

function drawNode(
  node: PlanNode,
  { x = 0, y = 0, width, height }: NodeLabel,
  classes: string,
  note: string,
): Html {
  const radius = node.gate === null ? NODE_HEIGHT / 2 : 8;
  const top = y - height / 2;
  return html`<g class="node ${classes}" data-node="${node.name}">
    <title>${labelText(node)} = ${String(node.value)}</title>
    <rect
      x="${number(x - width / 2)}"
      y="${number(top)}"
      width="${number(width)}"
      height="${height}"
      rx="${radius}"
    />
    <text class="label" x="${number(x)}" y="${number(top + 15)}">${labelText(node)}</text>
    <text class="value" x="${number(x)}" y="${number(top + 34)}">${valueText(node)}</text>
    ${note === '' ? null : html`<text class="note" x="${number(x)}" y="${number(top + 50)}">${note}</text>`}
  </g>`;
}

function drawEdge(
  edge: PlanEdge,
  points: readonly Point[],
  at: Point,
  isMarked: boolean,
  note: string,
): Html {
  const text = coefficientText(edge);
  const width = LABEL_LETTER * Math.max(text.length, note.length) + 10;
  const height = EDGE_LABEL_HEIGHT + noteHeight(note);
  const top = at.y - height / 2;
  const end = points.at(-1)!;
  const before = points.at(-2) ?? end;
  const angle = (Math.atan2(end.y - before.y, end.x - before.x) * 180) / Math.PI;
  return html`<g class="edge ${isMarked ? 'marked' : ''}" data-edge="${edge.to}:${edge.operand}">
    <path d="${curve(points)}" />
    <path
      class="tip"
      d="M-7-4L0 0L-7 4Z"
      transform="translate(${number(end.x)} ${number(end.y)}) rotate(${number(angle)})"
    />
    <rect
      x="${number(at.x - width / 2)}"
      y="${number(top)}"
      width="${number(width)}"
      height="${height}"
      rx="${EDGE_LABEL_HEIGHT / 2}"
    />
    <text x="${number(at.x)}" y="${number(top + 13)}">${text}</text>
    ${note === '' ? null : html`<text class="note" x="${number(at.x)}" y="${number(top + 27)}">${note}</text>`}
  </g>`;
}

/** A smooth path: straight to the middle of the first segment, quadratic curves from middle to middle, straight to the end. */
function curve(points: readonly Point[]): string {
  const middle = (a: Point, b: Point): string => `${number((a.x + b.x) / 2)} ${number((a.y + b.y) / 2)}`;
  const at = ({ x, y }: Point): string => `${number(x)} ${number(y)}`;
  const bends = points.slice(1, -1).map((p, i) => `Q${at(p)} ${middle(p, points[i + 2]!)}`);
  return `M${at(points[0]!)}L${middle(points[0]!, points[1]!)}${bends.join('')}L${at(points.at(-1)!)}`;
}

function domainOf({ gate }: PlanNode): string {
  if (gate === null) return 'initial';
  return gate === 1 ? 'linear' : gate === 0 ? 'log' : 'mixed';
}

function labelText(node: PlanNode): string {
  if (node.gate === null) return node.name;
  const domain = domainOf(node);
  return `${node.name} ${domain}${domain === 'mixed' ? ` G = ${node.gate.toFixed(3)}` : ''}`;
}

function coefficientText({ coefficient }: PlanEdge): string {
  const size = Math.abs(coefficient);
  return `${coefficient < 0 ? '−' : '+'}${Number.isInteger(size) ? size : size.toFixed(3)}`;
}

const valueText = ({ value }: PlanNode): string => shortNumber(value);

/** Formats a number with eight significant digits; the node's title has the full double. */
export function shortNumber(value: number): string {
  if (Object.is(value, -0)) return '−0';
  return String(Number(value.toPrecision(8)))
    .replace('Infinity', '∞')
    .replaceAll('-', '−');
}

const number = (x: number): number => Math.round(10 * x) / 10;
