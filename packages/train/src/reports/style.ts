import { PLAN_STYLE } from '@dag/tensorize/draw';

const LIGHT = `
  color-scheme: light;
  --page: #f6f6f3; --card: #ffffff; --text: #1b1d21; --muted: #666c75; --line: #e5e5e0;
  --accent: #3157c8; --band: rgba(49, 87, 200, 0.13);
  --good: #1c7f55; --good-fill: #e3f4ec; --bad: #c22f3d; --bad-fill: #fdebec;
  --linear: #2c5cc5; --linear-fill: #edf2fd; --log: #a8560b; --log-fill: #fdf2e4; --number-fill: #f3f3f0;
  --series-0: #3157c8; --series-1: #d9682a; --series-2: #23906a; --series-3: #a8479b;
  --series-4: #b58b00; --series-5: #1690ac; --series-6: #cf4457; --series-7: #6c7683;
  --ordered-lightness: 48%;`;

const DARK = `
  color-scheme: dark;
  --page: #101215; --card: #181b1f; --text: #e8eaed; --muted: #989fa9; --line: #2a2e34;
  --accent: #8eaaff; --band: rgba(142, 170, 255, 0.17);
  --good: #62cf9c; --good-fill: #15302a; --bad: #ff8189; --bad-fill: #391d22;
  --linear: #92b0ff; --linear-fill: #1c2740; --log: #f0ac62; --log-fill: #35281a; --number-fill: #24272c;
  --series-0: #8eaaff; --series-1: #f59b66; --series-2: #5cc99c; --series-3: #dd8fd2;
  --series-4: #dfbd4e; --series-5: #5cc3dc; --series-6: #ff8592; --series-7: #a3adb9;
  --ordered-lightness: 68%;`;

/** The style sheet of the page; comes after that of uPlot. */
export const STYLE = `
:root {${LIGHT} }
@media (prefers-color-scheme: dark) { :root {${DARK} } }
/* Paper is white. */
@media print { :root {${LIGHT} --page: #ffffff; } }

* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
main { max-width: 1200px; margin: 0 auto; padding: 40px 24px 64px; }
h1, h2, h3, p, figure, dl, dd { margin: 0; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 48px 0 14px; }
h3 { font-size: 15px; }
.kicker { color: var(--accent); font-weight: 600; font-size: 13px; letter-spacing: 0.06em; text-transform: uppercase; }
.muted, figcaption p, .lead { color: var(--muted); }
.lead { margin-top: 6px; overflow-wrap: anywhere; }
h2 + .lead { margin: -8px 0 14px; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 13px; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 14px; margin-top: 26px; }
.tile, .card {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px;
}
.tile { padding: 14px 18px; }
.tile dt { color: var(--muted); font-size: 13px; }
.tile dd { font-size: 25px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.3; overflow-wrap: anywhere; }
.tile p { color: var(--muted); font-size: 13px; }

.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 16px; }
.grid.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); }
.card { padding: 18px 20px; min-width: 0; }
figcaption p { font-size: 13px; }
.plot { margin: 12px -8px 0; min-height: 290px; }

.uplot { font-family: inherit; }
.u-legend { font-size: 12.5px; color: var(--muted); text-align: left; margin: 4px 0 0 8px; }
.u-legend .u-value { color: var(--text); min-width: 3.4em; }
.u-inline.u-live th::after { content: none; }
.u-legend th { font-weight: 500; }
.u-legend .u-marker { width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.u-legend .behind, .u-legend tr:first-child .u-marker { display: none; }
.u-legend tr { margin-right: 10px; }
.u-series > * { padding: 2px; }
.u-hz .u-cursor-x, .u-vt .u-cursor-y { border-right: 1px dashed var(--muted); }
.u-hz .u-cursor-y, .u-vt .u-cursor-x { border-bottom: 0; }
.u-select { background: var(--band); }

.scores { display: grid; grid-template-columns: max-content max-content minmax(80px, 1fr) max-content max-content; gap: 0 16px; }
.scores [role=row] { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; padding: 7px 0; align-items: center; }
.scores [role=row] + [role=row] { border-top: 1px solid var(--line); }
.scores [role=columnheader] { color: var(--muted); font-size: 13px; }
.scores .amount { text-align: right; }
.scores .name { font-weight: 500; }
.scores .total, .scores .total .name { font-weight: 650; }
.bar { position: relative; display: block; height: 14px; border-radius: 7px; background: var(--number-fill); }
.bar i { position: absolute; top: 0; bottom: 0; display: block; border-radius: 7px; background: var(--accent); opacity: 0.6; }
.bar .interval {
  top: 3px; bottom: 3px; min-width: 2px; border-radius: 0; background: none; opacity: 1;
  border: solid var(--text); border-width: 0 1.5px;
}
.bar .interval::before { content: ""; position: absolute; left: 0; right: 0; top: 50%; border-top: 1.5px solid var(--text); }

.example { margin-top: 16px; padding: 0; overflow: hidden; }
.example header { padding: 15px 20px; display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: baseline; }
.example h3 { font: 600 17px/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.badge { font-size: 12px; font-weight: 650; padding: 2px 10px; border-radius: 99px; white-space: nowrap; }
.badge.right { color: var(--good); background: var(--good-fill); }
.badge.wrong { color: var(--bad); background: var(--bad-fill); }
.pair { display: grid; grid-template-columns: 1fr 1fr; border-top: 1px solid var(--line); }
.pair figure { padding: 14px 20px 18px; min-width: 0; display: flex; flex-direction: column; }
.pair figure + figure { border-left: 1px solid var(--line); }
.pair figcaption { font-size: 13px; color: var(--muted); overflow-wrap: anywhere; }
.pair figcaption b { color: var(--text); }
.pair code { font-size: 12.5px; }
.drawing { overflow-x: auto; margin-top: 10px; flex: 1; display: grid; align-items: center; justify-items: center; }
${PLAN_STYLE}.predicted { --mark: var(--bad); --mark-fill: var(--bad-fill); }
.true { --mark: var(--good); --mark-fill: var(--good-fill); }

details { margin-top: 16px; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; margin: 14px 0 0; line-height: 1.45; }
footer { margin-top: 40px; color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }

@media (max-width: 760px) {
  main { padding: 24px 14px 40px; }
  h1 { font-size: 27px; }
  .tiles { grid-template-columns: 1fr 1fr; gap: 10px; }
  .tile { padding: 11px 14px; }
  .tile dd { font-size: 21px; }
  .card { padding: 14px; }
  .example { padding: 0; }
  .example header, .pair figure { padding: 12px 14px; }
  .pair { grid-template-columns: 1fr; }
  .pair figure + figure { border-left: 0; border-top: 1px solid var(--line); }
  .scores { grid-template-columns: max-content minmax(50px, 1fr) max-content; gap: 0 12px; }
  .scores .texts, .scores .plans { display: none; }
}
@media print {
  body { font-size: 12px; }
  main { max-width: none; padding: 0; }
  .card, .tile { break-inside: avoid; }
  .bar, .bar i, .badge, .u-marker { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .grid { grid-template-columns: 1fr 1fr; }
  .grid.three { grid-template-columns: 1fr 1fr 1fr; }
  .tiles { grid-template-columns: repeat(5, 1fr); }
  .tile dd { font-size: 19px; }
  h2 { margin-top: 28px; }
  h2, h2 + .lead { break-after: avoid; }
  /* For printing a canvas cannot be redrawn, only scaled to the page's width. */
  .plot { min-height: 0; }
  .uplot, .u-wrap { width: 100% !important; height: auto !important; }
  .u-wrap canvas { width: 100% !important; height: auto !important; }
  .u-over, .u-under { display: none !important; }
  .drawing { overflow: visible; }
  svg.plan { min-width: 0 !important; }
}
`;
