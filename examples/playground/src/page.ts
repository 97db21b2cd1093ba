import type { Html } from '@dag/tensorize/draw';

/** The element of index.html with that id. */
export function element<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element #${id}`);
  return found as E;
}

/** A button that is not enabled keeps the focus, unlike one that is hidden or disabled. */
export function setEnabled(button: HTMLElement, isEnabled: boolean): void {
  button.setAttribute('aria-disabled', String(!isEnabled));
}

/** Replaces the contents of an element. The part that had the focus, by its `data-key`, keeps it. */
export function show(into: HTMLElement, content: Html | string): void {
  const text = typeof content === 'string' ? content : content.text;
  if (shown.get(into) === text) return;
  shown.set(into, text);
  const focused = document.activeElement;
  const key = focused && into.contains(focused) ? focused.getAttribute('data-key') : null;
  into.innerHTML = text;
  if (key !== null) into.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}
const shown = new WeakMap<HTMLElement, string>();

/** Arrow keys move the focus among the parts of an element that have a `data-key`; one of them is in the order of Tab. */
export function moveByArrows(container: HTMLElement): void {
  container.addEventListener('keydown', (event) => {
    const parts = [...container.querySelectorAll<HTMLElement>('[data-key]')];
    const from = document.activeElement as HTMLElement;
    const at = parts.indexOf(from);
    if (at < 0) return;
    const to = neighbour(parts, at, event.key);
    if (!to) return;
    event.preventDefault();
    for (const part of parts) part.tabIndex = part === to ? 0 : -1;
    to.focus();
  });
}

function neighbour(parts: readonly HTMLElement[], at: number, key: string): HTMLElement | undefined {
  switch (key) {
    case 'ArrowLeft':
      return parts[at - 1];
    case 'ArrowRight':
      return parts[at + 1];
    case 'Home':
      return parts[0];
    case 'End':
      return parts.at(-1);
    case 'ArrowUp':
    case 'ArrowDown': {
      // The nearest one above or below, as it stands on the screen.
      const middle = (part: HTMLElement): DOMRect => part.getBoundingClientRect();
      const { x, y } = middle(parts[at]!);
      const side = key === 'ArrowUp' ? -1 : 1;
      const distance = (part: HTMLElement): number => {
        const box = middle(part);
        return side * (box.y - y) > 4 ? side * (box.y - y) * 10 + Math.abs(box.x - x) : Infinity;
      };
      const nearest = parts.toSorted((a, b) => distance(a) - distance(b))[0];
      return nearest && distance(nearest) < Infinity ? nearest : undefined;
    }
    default:
      return undefined;
  }
}

/** A probability as percent; never a whole 100, since nothing is certain. */
export const percent = (probability: number): string => `${Math.min(99.99, 100 * probability).toFixed(2)} %`;

/** Lets the page draw and react before work goes on. */
export const breathe = (): Promise<void> => new Promise((go) => setTimeout(go));

/** Offers a file of that content to be saved. */
export function download(name: string, type: string, content: BlobPart): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
