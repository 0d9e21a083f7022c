/** What yargs makes of options that are joined, misspelt or nobody's. */
import { nearest } from './nearest.ts';
import { type CommandName, commands, type Option } from './options.ts';

/** Throws a usage error. Neither text may repeat what could be the message itself. */
export type Refuse = (message: string, hint?: string) => never;

/** The options of a command, by the name that they have on the command line: `--user`, `-u`. */
type Named = ReadonlyMap<string, { readonly long: string; readonly takesValue: boolean }>;

/**
 * On its own, yargs takes `--hide=yes` for `--hide=false`, and `-ualice` for `-u -a -l -i -c -e`. It
 * also accepts a few names that nobody declared: some of its own (`--get-yargs-completions`) and
 * some of JavaScript's objects (`--constructor`).
 *
 * @param options by their long names
 * @returns the arguments, with one-letter options apart from each other and from their values
 */
export function separateOptions(
  argv: readonly string[],
  options: Readonly<Record<string, Option>>,
  refuse: Refuse,
): string[] {
  const named: Named = new Map(
    Object.entries(options).flatMap(([name, { short, value }]) => {
      const option = { long: `--${name}`, takesValue: value !== undefined };
      const names = short === undefined ? [option.long] : [option.long, `-${short}`];
      return names.map((each) => [each, option]);
    }),
  );
  const result: string[] = [];
  let isValue = false;
  for (const [index, each] of argv.entries()) {
    // What follows -- is not an option, and is refused later.
    if (each === '--') return [...result, ...argv.slice(index)];
    const isOption: boolean = !isValue && each.startsWith('-') && each !== '-';
    const separate: string[] = isOption ? separateOption(each, named, refuse) : [each];
    result.push(...separate);
    isValue = isOption && named.get(separate.at(-1) ?? '')?.takesValue === true;
  }
  return result;
}

function separateOption(argument: string, named: Named, refuse: Refuse): string[] {
  const [, name, value] = /^(--[^=]*)(=[^]*)?$/.exec(argument) ?? [];
  if (name === undefined) return separateLetters(argument.slice(1), named, refuse);
  const option = named.get(name);
  if (option === undefined) return refuseUnknown(name, named, refuse);
  if (!option.takesValue && value !== undefined) refuse(`${name} doesn't take a value.`);
  return [argument];
}

/** @param letters what follows a single hyphen */
function separateLetters(letters: string, named: Named, refuse: Refuse): string[] {
  const separate: string[] = [];
  for (const [index, letter] of Array.from(letters).entries()) {
    const option = named.get(`-${letter}`);
    if (option === undefined) return refuseUnknown(`-${letter}`, named, refuse);
    const rest = letters.slice(index + 1);
    if (option.takesValue && rest !== '') {
      return [...separate, `${option.long}=${rest.replace(/^=/, '')}`];
    }
    separate.push(`-${letter}`);
  }
  return separate;
}

/** @param name it may be the message itself: a private key begins with hyphens too */
function refuseUnknown(name: string, named: Named, refuse: Refuse): never {
  if (!/^--?[a-zA-Z][a-zA-Z-]{0,29}$/.test(name)) refuse('Unknown option.');
  const owners = ownersOf(name);
  const long = [...named.keys()].filter((each) => each.startsWith('--'));
  const near = nearest(name, long, 2.5);
  const hints = [
    near && `Did you mean ${near}?`,
    owners && `${name} is an option of ${owners}.`,
  ].filter(Boolean);
  refuse(`Unknown option ${name}.`, hints.length === 0 ? undefined : hints.join(' '));
}

/** @returns the other commands that have this option */
const ownersOf = (name: string): string =>
  (Object.keys(commands) as CommandName[])
    .filter((command) =>
      Object.entries<Option>(commands[command].options).some(
        ([long, { short }]) => name === `--${long}` || name === `-${short}`,
      ),
    )
    .join(', ');
