import { fieldsFor } from './config.js';
import { isSection } from './problems.js';

/**
 * A configuration that an earlier version wrote into a checkpoint, in today's spelling: keys that now only the other kind has are
 * left out, and a loss `{ enabled, weight }` is its weight. The loss `digits`, which reached no weight of a model, is gone.
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
