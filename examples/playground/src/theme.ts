import { element } from './page.js';

/** The colours of the system, until the button chooses others, which this browser remembers. */
export function setUpTheme(): void {
  const button = element('theme');
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = (): boolean =>
    root.dataset['theme'] === undefined ? system.matches : root.dataset['theme'] === 'dark';
  const label = (): void => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `${isDark() ? 'Light' : 'Dark'} colours`);
  };
  const saved = stored();
  if (saved) root.dataset['theme'] = saved;
  button.addEventListener('click', () => {
    root.dataset['theme'] = isDark() ? 'light' : 'dark';
    store(root.dataset['theme']);
    label();
  });
  system.addEventListener('change', label);
  label();
}

const KEY = 'dag-playground-theme';

/** A browser may keep pages from storing anything. */
function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function store(theme: string): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The choice lasts as long as the page.
  }
}
