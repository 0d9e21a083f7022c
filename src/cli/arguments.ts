/** The command line, parsed by yargs. Nothing here looks at files, settings or the terminal. */
import yargs from 'yargs';

import { usageError } from '../errors.ts';
import { type CommandName, optionsOf, shells } from './options.ts';
import { type Refuse, separateOptions } from './separate-options.ts';

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

/** `--help`, `--version` or `--completion`: a text for standard output, and nothing else to do. */
interface Information {
  readonly information: string;
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
  const options = optionsOf(command);
  // Text that is not an option may be the secret itself, so an error never repeats it.
  const seeHelp = `See ${command} --help.`;
  const refuse: Refuse = (message, hint) => {
    throw usageError(message, hint === undefined ? seeHelp : `${hint} ${seeHelp}`);
  };
  const parser = yargs()
    // Its own texts are not used. These come first, or they would remove our options.
    .help(false)
    .version(false)
    .options(
      Object.fromEntries(
        Object.entries(options).map(([name, { short, value }]) => [
          name,
          {
            ...(short === undefined ? {} : { alias: short }),
            // Otherwise a lone - would not count as a value.
            ...(value === undefined ? { type: 'boolean' } : { type: 'string', requiresArg: true }),
          },
        ]),
      ),
    )
    .locale('en')
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

  let parsed: Record<string, unknown>;
  const separate = separateOptions(argv, options, refuse);
  try {
    parsed = await parser.parseAsync(separate);
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
  if (isSet('help')) {
    const { helpText } = await import('./help.ts');
    return { information: helpText(command, columns) };
  }
  const shell = given('completion');
  if (shell !== undefined) {
    const { completionFor } = await import('./completion.ts');
    const information = completionFor(shell);
    return information === undefined
      ? refuse('--completion knows no such shell.', `It takes ${shells.join(', ')}.`)
      : { information };
  }
  if (isSet('version')) return { information: `${version}\n` };

  if (Array.isArray(parsed._) && parsed._.length > 0) {
    if ('in' in options) {
      refuse(
        'Unexpected argument. Messages are never passed on the command line, where other users could see them.',
        'Name the user with -u NAME. Type the message at the prompt, pipe it in, or use --in FILE.',
      );
    }
    refuse('Unexpected argument.', 'user' in options ? 'Name the user with -u NAME.' : undefined);
  }
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
