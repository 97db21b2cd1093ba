import type { Command, Option } from 'commander';
import leven from 'leven';

const OPTION = /^(--?[a-z][\w-]*)(?:=.*)?$/is;
/** Edit distance at which a word counts as a misspelt option; swapped letters are two edits. */
const MOST_EDITS = 2;

/**
 * Reorders the words of a command: options first, then `--`, then arguments, so that a text that begins with a minus is
 * not read as an option. A word is an option if it is `--name` or `-n`. Ends the process if an option is wrong.
 */
export function sortWords(command: Command, words: readonly string[]): string[] {
  const known = optionsOf(command);
  const options: string[] = [];
  const end = words.includes('--') ? words.indexOf('--') : words.length;
  const texts: string[] = [];
  for (let i = 0; i < end; i++) {
    const word = words[i]!;
    const name = OPTION.exec(word)?.[1] ?? '';
    const option = known.get(name);
    if (!option) {
      if (isOption(name, known)) refuse(command, word, known);
      texts.push(word);
      continue;
    }
    options.push(word);
    const hasValue = word.length > name.length;
    if (!option.required) {
      if (hasValue) refuseValue(command, name, word);
    } else if (word === `${name}=`) {
      command.error(`error: option '${option.flags}' has no value`);
    } else if (!hasValue) {
      const value = i + 1 < end ? words[++i]! : undefined;
      if (!value || known.has(value)) command.error(`error: option '${option.flags}' has no value`);
      options.push(value);
    }
  }
  const all = texts.concat(words.slice(end + 1));
  const most = command.registeredArguments.some(({ variadic }) => variadic)
    ? Infinity
    : command.registeredArguments.length;
  if (all.length > most)
    command.error(
      `error: ${most === 0 ? 'no argument is' : 'one argument is'} expected, given ` +
        `${all.map((word) => `'${word}'`).join(', ')}${most === 0 ? '; a model is named by --checkpoint' : '; put a text with spaces in quotes'}`,
    );
  return [...options, '--', ...all];
}

/** For `dag train`, whose other options are configuration keys: refuses misspelt flags (`--josn`) and flags with a value (`--json=1`). */
export function refuseMisspelt(command: Command, words: readonly string[]): void {
  const known = optionsOf(command);
  words.forEach((word, i) => {
    const name = OPTION.exec(word)?.[1] ?? '';
    const hasValue = word !== name || !(words[i + 1] ?? '--').startsWith('--');
    if (known.has(name) && word !== name) refuseValue(command, name, word);
    if (!hasValue && !known.has(name) && nearest(name, known)) refuse(command, word, known);
  });
}

function refuseValue(command: Command, name: string, word: string): never {
  return command.error(`error: option '${name}' takes no value, given '${word}'`);
}

type Options = ReadonlyMap<string, Option>;

function optionsOf(command: Command): Options {
  const options = command.createHelp().visibleOptions(command);
  return new Map(options.flatMap((o) => [o.short, o.long].flatMap((name) => (name ? [[name, o]] : []))));
}

/** `-two` is a text, unless `--two` is an option. */
const isOption = (name: string, known: Options): boolean =>
  name.startsWith('--') || name.length === 2 || known.has(`-${name}`);

function nearest(word: string, known: Options): string | undefined {
  const name = word.replace(/=.*$/s, '').replace(/^-+/, '');
  const edits = (option: string): number => leven(name, option.replace(/^-+/, ''));
  const names = [...known.keys()].filter((option) => option.startsWith('--'));
  const [best] = names.sort((a, b) => edits(a) - edits(b));
  return best !== undefined && name.length > 1 && edits(best) <= MOST_EDITS ? best : undefined;
}

function refuse(command: Command, word: string, known: Options): never {
  const near = nearest(word, known);
  const takesText = command.registeredArguments.some((argument) =>
    ['text', 'prompt'].includes(argument.name()),
  );
  const hint = near
    ? `; did you mean ${near}?`
    : takesText
      ? '; write a text that looks like an option after --'
      : '';
  return command.error(`error: unknown option '${word}'${hint}`);
}
