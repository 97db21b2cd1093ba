/**
 * Linked highlighting: parts of the page that mean the same have the same `data-refs`, such as `n0` or `s1:3 s0`. Pointing at one, or
 * giving it the focus, lights up all that share a name with it.
 */
export function linkHighlights(): void {
  document.addEventListener('pointerover', ({ target }) => light(target));
  document.addEventListener('focusin', ({ target }) => light(target));
  document.addEventListener('focusout', () => light(null));
}

let names: readonly string[] = [];

function light(target: EventTarget | null): void {
  const from = target instanceof Element ? target.closest('[data-refs]') : null;
  names = from?.getAttribute('data-refs')?.split(' ').filter(Boolean) ?? [];
  relight();
}

/** Lights up the same names again, after the page was drawn anew. */
export function relight(): void {
  for (const part of document.querySelectorAll('.lit')) part.classList.remove('lit');
  for (const name of names)
    for (const part of document.querySelectorAll(`[data-refs~="${name}"]`)) part.classList.add('lit');
}
