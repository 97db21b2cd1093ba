import { checkList, checkObject, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { decisionsReadout } from './decisions-readout.js';
import { linearReadout } from './linear-readout.js';
import { TARGET_NAMES, type Readout } from './readout.js';

const OWN: readonly Readout[] = [decisionsReadout, linearReadout];
const readouts = new Map<string, Readout>(OWN.map((readout) => [readout.name, readout]));

/** Whether `addReadout` registered the readout of that name. */
export const isAdded = (name: string): boolean => !OWN.some((readout) => readout.name === name);

/** Name of the default readout. */
export const DEFAULT_READOUT = decisionsReadout.name;

/**
 * Registers a readout: from then on configurations and model files may name it.
 *
 * @throws {ModelError} `bad-input` if another readout has its name, a part is missing, or a loss reads an unknown target.
 */
export function addReadout(readout: Readout): void {
  checkObject('a readout', readout);
  const { name } = readout;
  if (typeof name !== 'string' || name === '')
    throw new ModelError('bad-input', `addReadout: the name of a readout is text, given ${named(name)}`);
  for (const part of ['fields', 'make', 'plan', 'harden'] as const)
    if (typeof readout[part] !== 'function')
      throw new ModelError(
        'bad-input',
        `addReadout: ${part} of '${name}' is a function, given ${named(readout[part])}`,
      );
  for (const flag of ['holdsDigits', 'hasPowers'] as const)
    if (typeof readout[flag] !== 'boolean')
      throw new ModelError(
        'bad-input',
        `addReadout: ${flag} of '${name}' is true or false, given ${named(readout[flag])}`,
      );
  checkObject(`losses of '${name}' by name`, readout.losses);
  for (const [loss, part] of Object.entries(readout.losses)) {
    checkObject(`the loss '${loss}' of '${name}' as { targets, compute }`, part);
    const { targets, compute } = part;
    checkList(`targets of the loss '${loss}' of '${name}' as an array`, targets);
    const unknown = targets.find((target) => !TARGET_NAMES.includes(target));
    if (unknown !== undefined)
      throw new ModelError(
        'bad-input',
        `addReadout: the loss '${loss}' of '${name}' reads the target ${named(unknown)}; there are ${TARGET_NAMES.join(', ')}`,
      );
    if (typeof compute !== 'function')
      throw new ModelError(
        'bad-input',
        `addReadout: compute of the loss '${loss}' of '${name}' is a function, given ${named(compute)}`,
      );
  }
  checkObject(`weights of losses of '${name}' by name`, readout.weights);
  const known = readouts.get(name);
  if (known !== undefined && known !== readout)
    throw new ModelError('bad-input', `addReadout: there is a readout '${name}' already`);
  readouts.set(name, readout);
}

/** The readout of that name. @throws {ModelError} `bad-config` where there is none. */
export function readoutOf(name: string): Readout {
  const readout = readouts.get(name);
  if (readout) return readout;
  const names = readoutNames().map((known) => `'${known}'`);
  throw new ModelError(
    'bad-config',
    `readout is ${names.join(' or ')}, given ${named(name)}; for a readout of your own load the module that calls addReadout`,
  );
}

/** Names of all registered readouts, those of this package first. */
export const readoutNames = (): string[] => [...readouts.keys()];
