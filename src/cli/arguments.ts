/** The command line, parsed by yargs. Nothing here looks at files, settings or the terminal. */
import yargs, { type Options } from 'yargs';

import { usageError } from '../errors.ts';
import { commands, epilogue } from './options.ts';

export type CommandName = keyof typeof commands;

export interface Arguments {
  readonly user: string | undefined;
  readonly key: string | undefined;
  readonly toKey: string | undefined;
  readonly in: string | undefined;
  readonly out: string | undefined;
  readonly hide: boolean;
  readonly binary: boolean;
  readonly batch: boolean;
  readonly inspect: boolean;
  readonly json: boolean;
  readonly sign: boolean;
  readonly requireSigned: boolean;
  readonly region: string | undefined;
  readonly profile: string | undefined;
  readonly envFile: string | undefined;
  readonly quiet: boolean;
  /** Of `kms-deploy` alone. */
  readonly deploy?: DeployArguments;
}

export interface DeployArguments {
  readonly stackName: string | undefined;
  readonly users: string | undefined;
  readonly replicaRegions: readonly string[];
  readonly parameters: readonly string[];
  readonly newCredentials: boolean;
  readonly adopt: boolean;
  readonly teardown: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** `--help` or `--version`: a text for standard output, and nothing else to do. */
interface Information {
  readonly information: string;
}

/**
 * Each command stays on one line, whatever the width, so that it can be copied: yargs would wrap
 * it.
 */
const exampleText = (examples: readonly (readonly [string, string])[]): string =>
  ['Examples:', ...examples.flatMap(([line, what]) => [`  ${line}`, `      ${what}`])].join('\n');

/**
 * On its own, yargs takes `--hide=yes` for `--hide=false`, and accepts a few names that nobody
 * declared: some of its own (`--get-yargs-completions`) and some of JavaScript's objects
 * (`--constructor`).
 */
function checkLongOptions(
  argv: readonly string[],
  options: Readonly<Record<string, Options>>,
  refuse: (message: string) => never,
): void {
  const names = new Map<string, Options['type']>([
    ['help', 'boolean'],
    ['version', 'boolean'],
  ]);
  for (const [name, { type, alias }] of Object.entries(options)) {
    names.set(name, type);
    if (typeof alias === 'string') names.set(alias, type);
  }
  for (const each of argv) {
    if (each === '--') return; // what follows is not an option, and is refused later
    const [, name, value] = /^--([^=]*)(=[^]*)?$/.exec(each) ?? [];
    if (name === undefined) continue;
    const type = names.get(name);
    if (type === undefined) {
      // It may be the message itself: a private key begins with hyphens too.
      refuse(/^[a-zA-Z-]{1,30}$/.test(name) ? `Unknown option --${name}.` : 'Unknown option.');
    }
    if (type === 'boolean' && value !== undefined) refuse(`--${name} doesn't take a value.`);
  }
}

/**
 * @param argv the arguments after the program's name
 * @param columns the terminal's width, for the help text
 * @throws KmsPocError Usage
 */
export async function parseArguments(
  command: CommandName,
  argv: readonly string[],
  version: string,
  columns: number,
): Promise<Arguments | Information> {
  const { description, options, examples } = commands[command];
  // Text that is not an option may be the secret itself, so an error never repeats it.
  const seeHelp = `See ${command} --help.`;
  const refuse = (message: string): never => {
    throw usageError(message, seeHelp);
  };
  checkLongOptions(argv, options, refuse);
  const parser = yargs()
    .scriptName(command)
    .usage(`$0 [options]\n\n${description}`)
    .locale('en')
    .options(options)
    .epilogue(`${exampleText(examples)}\n\n${epilogue}`)
    .version(version)
    .help()
    .wrap(Math.min(columns, 100))
    .exitProcess(false)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': true,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .fail((message, cause: unknown) => {
      throw cause instanceof Error ? cause : new Error(message);
    });

  let information: string | undefined;
  let parsed: Record<string, unknown>;
  try {
    parsed = await parser.parseAsync(
      [...argv],
      {},
      (_error: unknown, _argv: unknown, output: string) => {
        if (output !== '') information = output;
      },
    );
  } catch (cause) {
    // yargs' own messages can repeat what was given, so only the option's name is taken from them.
    const option = /^Not enough arguments following: ([a-z-]+)$/.exec(
      (cause as Error).message,
    )?.[1];
    throw usageError(
      option === undefined
        ? 'Could not parse the command line.'
        : `${option.length === 1 ? '-' : '--'}${option} needs a value.`,
      seeHelp,
      { cause },
    );
  }
  if (information !== undefined) return { information: `${information}\n` };

  const aliases = Object.values<Options>(options).map(({ alias }) => alias);
  const known = new Set(['_', '$0', 'help', 'version', ...Object.keys(options), ...aliases]);
  const unknown = Object.keys(parsed).find((name) => !known.has(name));
  if (unknown !== undefined) {
    refuse(`Unknown option ${unknown.length === 1 ? '-' : '--'}${unknown}.`);
  }
  if (Array.isArray(parsed._) && parsed._.length > 0) {
    throw usageError(
      'user' in options
        ? 'Unexpected argument. Messages are never passed on the command line, where other users could see them.'
        : 'Unexpected argument.',
      'in' in options
        ? `Type the message at the prompt, pipe it in, or use --in FILE. ${seeHelp}`
        : seeHelp,
    );
  }
  const given = (name: string): string | undefined => {
    const value = parsed[name];
    if (Array.isArray(value)) refuse(`--${name} was given more than once.`);
    if (value === '') refuse(`--${name} needs a value.`);
    return value as string | undefined;
  };
  /** For an option that may be given again. */
  const all = (name: string): string[] => {
    const values = [parsed[name] ?? []].flat() as string[];
    if (values.includes('')) refuse(`--${name} needs a value.`);
    return values;
  };
  const isSet = (name: string): boolean => {
    const value = parsed[name];
    return Array.isArray(value) ? value.includes(true) : value === true;
  };
  return {
    user: given('user'),
    key: given('key'),
    toKey: given('to-key'),
    in: given('in'),
    out: given('out'),
    hide: isSet('hide'),
    binary: isSet('binary'),
    batch: isSet('batch'),
    inspect: isSet('inspect'),
    json: isSet('json'),
    sign: isSet('sign'),
    requireSigned: isSet('require-signed'),
    region: given('region'),
    profile: given('profile'),
    envFile: given('env-file'),
    quiet: isSet('quiet'),
    ...(command === 'kms-deploy' && {
      deploy: {
        stackName: given('stack-name'),
        users: given('users'),
        replicaRegions: all('replica-region'),
        parameters: all('parameter'),
        newCredentials: isSet('new-credentials'),
        adopt: isSet('adopt'),
        teardown: isSet('teardown'),
        dryRun: isSet('dry-run'),
        yes: isSet('yes'),
      },
    }),
  };
}
