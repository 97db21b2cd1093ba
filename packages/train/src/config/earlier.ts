import { fieldsFor } from './config.js';
import { isSection } from './problems.js';

/**
 * Converts a configuration that an earlier version wrote into a checkpoint: drops keys that now belong to the other kind only,
 * replaces a loss `{ enabled, weight }` by its weight, and drops the removed loss `digits`, whose gradient reached no weight.
 */
export function fromEarlier(config: unknown): unknown {
  if (!isSection(config) || !isSection(config['losses'])) return config;
  const losses = Object.entries(config['losses']);
  if (!losses.some(([, loss]) => isSection(loss))) return config;
  const others = new Set(fieldsFor(config).flatMap(({ path, only }) => (only === undefined ? [] : [path])));
  const own = (section: object, prefix = ''): [string, unknown][] =>
    Object.entries(section).filter(([key]) => !others.has(prefix + key));
  const weights = losses
    .filter(([name]) => name !== 'digits')
    .map(([name, loss]): [string, unknown] => [
      name,
      isSection(loss) ? (loss['enabled'] === true ? loss['weight'] : 0) : loss,
    ]);
  const sections = own({ ...config, losses: Object.fromEntries(weights) }).map(([key, value]) => [
    key,
    isSection(value) ? Object.fromEntries(own(value, `${key}.`)) : value,
  ]);
  return Object.fromEntries(sections) as unknown;
}
