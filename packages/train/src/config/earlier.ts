import { fieldsFor } from './config.js';
import { isSection } from './problems.js';

/**
 * A configuration that an earlier version wrote into a checkpoint, in today's spelling: keys that now only the other kind has are
 * left out, and a loss `{ enabled, weight }` is its weight.
 */
export function fromEarlier(config: unknown): unknown {
  if (!isSection(config) || !isSection(config['losses'])) return config;
  const losses = Object.entries(config['losses']);
  if (!losses.some(([, loss]) => isSection(loss))) return config;
  const fields = fieldsFor(config);
  const isOwn = (path: string): boolean =>
    !fields.some((field) => field.path === path && field.only !== undefined);
  const weightOf = (loss: unknown): unknown =>
    isSection(loss) ? (loss['enabled'] === true ? loss['weight'] : 0) : loss;
  const kept = (section: object, prefix: string): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(section).flatMap(([key, value]: [string, unknown]) =>
        isOwn(prefix + key) ? [[key, isSection(value) ? kept(value, `${prefix}${key}.`) : value]] : [],
      ),
    );
  return {
    ...kept({ ...config, losses: undefined }, ''),
    losses: Object.fromEntries(
      losses.flatMap(([name, loss]) =>
        fields.some(({ path, only }) => path === `losses.${name}` && only === undefined)
          ? [[name, weightOf(loss)]]
          : [],
      ),
    ),
  };
}
