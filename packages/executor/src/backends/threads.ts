import { isThreadCount, MAX_THREADS } from '../devices.js';
import { ExecutorError } from '../error.js';
import { environment } from './native.js';

/**
 * The number of threads in `DAG_NUM_THREADS`; undefined where there is none, or the environment may not be read.
 *
 * @throws {ExecutorError} `value` unless a whole number from 1 to 1024.
 */
export function threadsSetting(): number | undefined {
  const given = readable('DAG_NUM_THREADS');
  if (given === undefined) return undefined;
  const count = Number(given);
  if (isThreadCount(count)) return count;
  throw new ExecutorError(
    'value',
    `DAG_NUM_THREADS is a whole number from 1 to ${MAX_THREADS}, given '${given}'`,
  );
}

function readable(name: string): string | undefined {
  try {
    return environment(name);
  } catch {
    return undefined;
  }
}
