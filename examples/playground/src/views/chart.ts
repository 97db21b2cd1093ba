import { html, type Html } from '@dag/tensorize/draw';

export type Point = readonly [x: number, y: number];

export interface Chart {
  readonly title: string;
  readonly points: readonly Point[];
  /** The right end of the horizontal axis. */
  readonly until: number;
  readonly low: number;
  readonly high: number;
  /** A dashed line at that height, with its name. */
  readonly goal?: readonly [y: number, name: string];
  readonly isLog?: boolean;
  readonly text: (y: number) => string;
}

const [WIDTH, HEIGHT] = [300, 110];
/** Room above and below for the width of the line. */
const EDGE = 4;

/** A line over the steps of a training. */
export function chart({ title, points, until, low, high, goal, isLog = false, text }: Chart): Html {
  const scale = isLog ? (y: number) => Math.log(Math.max(y, low)) : (y: number) => y;
  const height = (y: number): number =>
    EDGE + (HEIGHT - 2 * EDGE) * (1 - (scale(Math.min(y, high)) - scale(low)) / (scale(high) - scale(low)));
  const line = points
    .map(([x, y]) => `${((WIDTH * x) / until).toFixed(1)},${height(y).toFixed(1)}`)
    .join(' ');
  const last = points.at(-1);
  return html`<figure class="chart">
    <figcaption><b>${title}</b> <span>${last ? text(last[1]) : '–'}</span></figcaption>
    <div class="plot">
      <div class="scale"><span>${text(high)}</span><span>${text(low)}</span></div>
      <svg
        viewBox="0 0 ${WIDTH} ${HEIGHT}"
        preserveAspectRatio="none"
        role="img"
        aria-label="${title}${last ? `: ${text(last[1])}` : ''}"
      >
        ${goal ? html`<path class="goal" d="M0 ${height(goal[0])}H${WIDTH}" />` : null}
        <polyline points="${line}" />
      </svg>
      ${goal ? html`<span class="goal" style="top:${(100 * height(goal[0])) / HEIGHT}%">${goal[1]}</span>` : null}
    </div>
  </figure>`;
}
