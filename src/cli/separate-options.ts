/** What yargs makes of options that are joined, misspelt or nobody's. */
import { distance } from 'fastest-levenshtein';

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
  const near = nearest(name, [...named.keys()]);
  const hints = [
    near && `Did you mean ${near}?`,
    owners && `${name} is an option of ${owners}.`,
  ].filter(Boolean);
  refuse(`Unknown option ${name}.`, hints.length === 0 ? undefined : hints.join(' '));
}

/** @returns the other commands that have this option */
const ownersOf = (name: string): string =>
  (Object.keys(commands) as CommandName[])
    .filter((command) => Object.hasOwn(commands[command].options, name.replace(/^--/, '')))
    .join(', ');

const sortedLetters = (text: string): string => Array.from(text).sort().join('');

/** @returns the long name that is written almost like this one, or begins or goes on like it */
function nearest(name: string, names: readonly string[]): string | undefined {
  const plain = (text: string): string => text.replaceAll('-', '').toLowerCase();
  const given = plain(name);
  return names
    .filter((each) => given.length > 1 && each.startsWith('--'))
    .map((each) => {
      const goesOn = given.startsWith(plain(each)) || plain(each).startsWith(given);
      const isSwapped = sortedLetters(given) === sortedLetters(plain(each));
      return { each, far: goesOn || isSwapped ? 0.5 : distance(given, plain(each)) };
    })
    .filter(({ each, far }) => far <= Math.min(2, plain(each).length / 2.5))
    .sort((a, b) => a.far - b.far)[0]?.each;
}
