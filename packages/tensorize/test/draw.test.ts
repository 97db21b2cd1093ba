import { describe, expect, it } from '@jest/globals';
import {
  differences,
  PLAN_STYLE,
  planGraph,
  planSvg,
  shortNumber,
  type PlanEdge,
  type PlanGraph,
  type PlanNode,
} from '../src/draw.js';
import { bind, tensorize, type DagTensors } from '../src/index.js';
import { runPlan } from './run-plan.js';

const graphOf = (tensors: DagTensors): PlanGraph => planGraph(tensors, (plan) => [runPlan(plan)]);

describe('a plan as a graph', () => {
  it('has its numbers and steps with the value at each, and coefficients between them', () => {
    expect(graphOf(tensorize('8 / (5 - 6)', { depth: 4 }))).toEqual({
      nodes: [
        { name: 'n0', gate: null, value: 8 },
        { name: 'n1', gate: null, value: 5 },
        { name: 'n2', gate: null, value: 6 },
        { name: 's0', gate: 1, value: -1 },
        { name: 's1', gate: 0, value: -8 },
      ],
      edges: [
        { operand: 1, from: 'n1', to: 's0', coefficient: 1 },
        { operand: 2, from: 'n2', to: 's0', coefficient: -1 },
        { operand: 0, from: 'n0', to: 's1', coefficient: 1 },
        { operand: 4, from: 's0', to: 's1', coefficient: -1 },
      ],
      result: 's1',
    });
  });

  it('is one plan: several, or no executor, are an error', () => {
    const rows = bind('2 * x', { x: [1, 2] });
    expect(() => graphOf(rows)).toThrow('a drawing shows one plan, got 2: bind or tensorize a single one');
    const noExecutor = undefined as unknown as () => number[];
    expect(() => planGraph(tensorize('7', { depth: 1 }), noExecutor)).toThrow(
      'execute is that of @dag/executor, got undefined',
    );
  });

  it('of a number is that number', () => {
    const graph = graphOf(tensorize('-7', { depth: 3 }));
    expect(graph).toEqual({ nodes: [{ name: 'n0', gate: null, value: -7 }], edges: [], result: 'n0' });
  });

  it('keeps two operands that are the same node', () => {
    const tensors = tensorize('1 + 2', { depth: 2 });
    // Step 0 hands n0 on, step 1 takes n0 and step 0.
    tensors.O.set([1, 0, 0, 0, /* step 1 */ 1, 0, 1, 0]);
    const graph = graphOf(tensors);
    expect(graph.edges.map(({ from, to }) => `${from} → ${to}`)).toEqual(['n0 → s1', 'n0 → s1']);
    expect(graph.nodes.at(-1)).toEqual({ name: 's1', gate: 1, value: 2 });
    expect(planSvg(graph, { label: '' }).text.match(/class="edge/g)).toHaveLength(2);
  });

  it('differs from another in numbers, domains and coefficients, and in what follows from them', () => {
    const graph = graphOf(tensorize('2 * 3 + 1', { depth: 4 }));
    const marks = (other: string) => {
      const { nodes, edges, results } = differences(graph, graphOf(tensorize(other, { depth: 4 })));
      return {
        nodes: [...nodes].map(({ name }) => name),
        edges: [...edges].map(({ from, to }) => `${from} → ${to}`),
        results: [...results].map(({ name }) => name),
      };
    };
    expect(marks('2 * 3 + 1')).toEqual({ nodes: [], edges: [], results: [] });
    expect(marks('2 * 4 + 1')).toEqual({ nodes: ['n1'], edges: [], results: ['s0', 's1'] });
    expect(marks('2 * 3 - 1')).toEqual({ nodes: [], edges: ['n2 → s1'], results: ['s1'] });
    expect(marks('2 * 3 * 1')).toEqual({ nodes: ['s1'], edges: ['n2 → s1', 's0 → s1'], results: ['s1'] });
  });
});

describe('a plan as SVG', () => {
  const graph = graphOf(tensorize('2 * 3 + 1', { depth: 4 }));

  it('shows every node with its name, domain and value, every coefficient, and which node is the result', () => {
    const { text } = planSvg(graph, { label: 'a plan' });
    expect([...text.matchAll(/<title>([^<]*)<\/title>/g)].map(([, title]) => title)).toEqual([
      'n0 = 2',
      'n1 = 3',
      'n2 = 1',
      's0 log = 6',
      's1 linear = 7',
    ]);
    expect(text.match(/<text[^>]*>\+1<\/text>/g)).toHaveLength(4);
    expect([...text.matchAll(/class="node ([^"]*)"/g)].map(([, classes]) => classes!.trim())).toEqual([
      ...['initial', 'initial', 'initial', 'log', 'linear result'],
    ]);
    expect(text).toContain('aria-label="a plan"');
  });

  it('is of a graph, with a label', () => {
    const tensors = tensorize('7', { depth: 1 }) as unknown as PlanGraph;
    expect(() => planSvg(tensors, { label: '' })).toThrow('expected a graph, as planGraph returns it');
    for (const options of [undefined, { lable: 'a plan' }])
      expect(() => planSvg(graph, options as never)).toThrow("expected a label, such as { label: '");
    const misspelt: object = { label: '', notes: String };
    expect(() => planSvg(graph, misspelt as never)).toThrow("there is no option 'notes'");
  });

  it('has colours on a page that sets none', () => {
    expect(PLAN_STYLE.match(/var\([^,)]*\)/g)).toBeNull();
  });

  it('marks what differs', () => {
    const other = graphOf(tensorize('2 * 5 - 1', { depth: 4 }));
    const { text } = planSvg(graph, { label: '', marked: differences(graph, other) });
    expect(text.match(/class="node [^"]*marked/g)).toHaveLength(1);
    expect(text.match(/class="edge marked/g)).toHaveLength(1);
    expect(text.match(/class="node [^"]*differs/g)).toHaveLength(2);
  });

  it('places nothing outside, and steps below their operands', () => {
    const { text } = planSvg(graph, { label: '' });
    const [width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(text)!.slice(1).map(Number);
    const boxes = [
      ...text.matchAll(/<rect\s+x="([-\d.]+)"\s+y="([-\d.]+)"\s+width="([\d.]+)"\s+height="44"/g),
    ];
    const [n0, n1, n2, s0, s1] = boxes.map((box) => box.slice(1).map(Number));
    for (const [x, y, w] of [n0!, n1!, n2!, s0!, s1!]) {
      expect(Math.min(x!, y!)).toBeGreaterThanOrEqual(0);
      expect(x! + w!).toBeLessThanOrEqual(width!);
      expect(y! + 44).toBeLessThanOrEqual(height!);
    }
    expect(n0![0]!).toBeLessThan(n1![0]!);
    expect(n0![1]! + 44).toBeLessThan(s0![1]!);
    expect(s0![1]! + 44).toBeLessThan(s1![1]!);
  });

  it('has a second line where there is a note', () => {
    const note = (of: PlanEdge | PlanNode): string => ('operand' in of ? '∂ 3' : '');
    const { text } = planSvg(graph, { label: '', note });
    expect(text.match(/class="note"/g)).toHaveLength(4);
    expect([...text.matchAll(/data-edge="([^"]*)"/g)].map(([, edge]) => edge)).toEqual([
      ...['s0:0', 's0:1', 's1:2', 's1:4'],
    ]);
  });

  it.each([
    [0.1 + 0.2, '0.3'],
    [-12.5, '−12.5'],
    [1 / 3, '0.33333333'],
    [-1e-20, '−1e−20'],
    [-0, '−0'],
    [-Infinity, '−∞'],
    [NaN, 'NaN'],
  ])('writes %d as %s', (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });
});
