import { Graph, layout, type EdgeLabel, type GraphLabel, type NodeLabel, type Point } from '@dagrejs/dagre';
import { html, type Html } from './html.js';
import type { Differences, PlanEdge, PlanGraph, PlanNode } from './plan-graph.js';

/** Estimated widths of a wide digit and letter in pixels, since fonts are not known here; text must stay inside its box. */
const VALUE_DIGIT = 8.4;
const LABEL_LETTER = 6.4;
const NODE_HEIGHT = 44;
const EDGE_LABEL_HEIGHT = 18;

/**
 * Draws a plan as SVG: initial nodes and steps as boxes with their value, operands as arrows with their coefficient. Colours
 * come from the page's style.
 *
 * @param label Text alternative for screen readers.
 */
export function planSvg(graph: PlanGraph, marked: Differences, label: string): Html {
  const laidOut = layOut(graph);
  const { width = 0, height = 0 } = laidOut.graph();
  const edges = graph.edges.map((edge) => {
    const { points = [], x = 0, y = 0 } = laidOut.edge(edge.from, edge.to, edgeName(edge))!;
    return drawEdge(edge, points, { x, y }, marked.edges.has(edge));
  });
  const nodes = graph.nodes.map((node) => {
    const classes = [
      domainOf(node),
      node.name === graph.result && 'result',
      marked.nodes.has(node) && 'marked',
      marked.results.has(node) && 'differs',
    ];
    return drawNode(node, laidOut.node(node.name), classes.filter(Boolean).join(' '));
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

type LaidOut = Graph<GraphLabel, NodeLabel, EdgeLabel>;

function layOut(graph: PlanGraph): LaidOut {
  // A multigraph: two operands of a step may be the same node.
  const g: LaidOut = new Graph<GraphLabel, NodeLabel, EdgeLabel>({ multigraph: true });
  g.setGraph({ rankdir: 'TB', nodesep: 20, edgesep: 14, ranksep: 34, marginx: 6, marginy: 6 });
  for (const node of graph.nodes) {
    const text = Math.max(VALUE_DIGIT * valueText(node).length, LABEL_LETTER * labelText(node).length);
    g.setNode(node.name, { width: Math.max(54, text + 22), height: NODE_HEIGHT });
  }
  for (const edge of graph.edges) {
    const width = LABEL_LETTER * coefficientText(edge).length + 12;
    g.setEdge(edge.from, edge.to, { width, height: EDGE_LABEL_HEIGHT, labelpos: 'c' }, edgeName(edge));
  }
  // Keep the numbers in the order of the text from left to right.
  const initial = graph.nodes.filter(({ gate }) => gate === null);
  layout(g, {
    constraints: initial.slice(1).map(({ name }, i) => ({ left: initial[i]!.name, right: name })),
  });
  return g;
}

const edgeName = ({ operand }: PlanEdge): string => String(operand);

function drawNode(node: PlanNode, { x = 0, y = 0, width, height }: NodeLabel, classes: string): Html {
  const radius = node.gate === null ? height / 2 : 8;
  return html`<g class="node ${classes}">
    <title>${labelText(node)} = ${String(node.value)}</title>
    <rect
      x="${number(x - width / 2)}"
      y="${number(y - height / 2)}"
      width="${number(width)}"
      height="${height}"
      rx="${radius}"
    />
    <text class="label" x="${number(x)}" y="${number(y - 7)}">${labelText(node)}</text>
    <text class="value" x="${number(x)}" y="${number(y + 12)}">${valueText(node)}</text>
  </g>`;
}

function drawEdge(edge: PlanEdge, points: readonly Point[], at: Point, isMarked: boolean): Html {
  const text = coefficientText(edge);
  const width = LABEL_LETTER * text.length + 10;
  const end = points.at(-1)!;
  const before = points.at(-2) ?? end;
  const angle = (Math.atan2(end.y - before.y, end.x - before.x) * 180) / Math.PI;
  return html`<g class="edge ${isMarked ? 'marked' : ''}">
    <path d="${curve(points)}" />
    <path
      class="tip"
      d="M-7-4L0 0L-7 4Z"
      transform="translate(${number(end.x)} ${number(end.y)}) rotate(${number(angle)})"
    />
    <rect
      x="${number(at.x - width / 2)}"
      y="${number(at.y - EDGE_LABEL_HEIGHT / 2)}"
      width="${number(width)}"
      height="${EDGE_LABEL_HEIGHT}"
      rx="${EDGE_LABEL_HEIGHT / 2}"
    />
    <text x="${number(at.x)}" y="${number(at.y + 4)}">${text}</text>
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
