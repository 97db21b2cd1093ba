/**
 * The style of `planSvg`. The page sets the colours `--text`, `--muted`, `--card`, `--number-fill`, `--linear`, `--linear-fill`, `--log` and
 * `--log-fill`.
 */
export const PLAN_STYLE = `
svg.plan { display: block; max-width: 100%; height: auto; }
svg.plan text { text-anchor: middle; fill: var(--text); font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
svg.plan .value { font-weight: 600; }
svg.plan .label { font-size: 11px; fill: var(--muted); }
.node rect { fill: var(--number-fill); stroke: transparent; stroke-width: 1.2; }
.node.linear rect { fill: var(--linear-fill); stroke: var(--linear); }
.node.log rect { fill: var(--log-fill); stroke: var(--log); }
.node.mixed rect { stroke: var(--muted); stroke-dasharray: 2 3; }
svg.plan .linear .label { fill: var(--linear); }
svg.plan .log .label { fill: var(--log); }
.node.result rect { stroke-width: 3; }
.node.initial.result rect { stroke: var(--muted); }
.edge path { fill: none; stroke: var(--muted); stroke-width: 1.3; }
.edge path.tip { fill: var(--muted); stroke: none; }
.edge rect { fill: var(--card); }
svg.plan .edge text { font-size: 11.5px; fill: var(--muted); }
svg.plan .note { font-size: 10.5px; fill: var(--muted); }
`;
