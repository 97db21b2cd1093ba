/** Plans as drawings, laid out by dagre: a subpath of its own, because of the size of that. */
export { html, Html, type Content } from './draw/html.js';
export {
  differences,
  nodeValues,
  planGraph,
  type Differences,
  type Execute,
  type PlanEdge,
  type PlanGraph,
  type PlanNode,
} from './draw/plan-graph.js';
export { PLAN_STYLE } from './draw/plan-style.js';
export { planSvg, shortNumber, type PlanSvgOptions } from './draw/plan-svg.js';
