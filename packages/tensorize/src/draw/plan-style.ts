/**
 * The style of `planSvg`. A page may set its colours: `--text`, `--muted`, `--card`, `--number-fill`, `--linear`, `--linear-fill`, `--log`,
 * `--log-fill`, `--mark` and `--mark-fill`. The defaults can be read on light and on dark pages.
 */
export const PLAN_STYLE = `
svg.plan { display: block; max-width: 100%; height: auto; }
svg.plan text { text-anchor: middle; fill: var(--text, CanvasText); font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
svg.plan .value { font-weight: 600; }
svg.plan .label { font-size: 11px; fill: var(--muted, #808080); }
.node rect { fill: var(--number-fill, #80808026); stroke: transparent; stroke-width: 1.2; }
.node.linear rect { fill: var(--linear-fill, #5b82e026); stroke: var(--linear, #5b82e0); }
.node.log rect { fill: var(--log-fill, #c4741f26); stroke: var(--log, #c4741f); }
.node.mixed rect { stroke: var(--muted, #808080); stroke-dasharray: 2 3; }
svg.plan .linear .label { fill: var(--linear, #5b82e0); }
svg.plan .log .label { fill: var(--log, #c4741f); }
.node.result rect { stroke-width: 3; }
.node.initial.result rect { stroke: var(--muted, #808080); }
.edge path { fill: none; stroke: var(--muted, #808080); stroke-width: 1.3; }
.edge path.tip { fill: var(--muted, #808080); stroke: none; }
.edge rect { fill: var(--card, Canvas); }
svg.plan .edge text { font-size: 11.5px; fill: var(--muted, #808080); }
svg.plan .note { font-size: 10.5px; fill: var(--muted, #808080); }
.node.marked rect { stroke: var(--mark, #d9483f); fill: var(--mark-fill, #d9483f26); stroke-width: 2.2; stroke-dasharray: 5 3; }
.node.result.marked rect { stroke-width: 3.4; }
.edge.marked path { stroke: var(--mark, #d9483f); stroke-width: 2.2; stroke-dasharray: 5 3; }
.edge.marked path.tip { fill: var(--mark, #d9483f); stroke: none; }
svg.plan .edge.marked text { fill: var(--mark, #d9483f); font-weight: 700; }
svg.plan .marked .value, svg.plan .differs .value { fill: var(--mark, #d9483f); }
`;
