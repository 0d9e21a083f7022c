/**
 * The command line, read by yargs. Nothing here looks at files, settings or the terminal.
 */
import yargs, { type Options } from 'yargs';

import { usageError } from '../errors.ts';

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
  readonly region: string | undefined;
  readonly profile: string | undefined;
  readonly envFile: string | undefined;
  readonly quiet: boolean;
}

/** `--help` or `--version`: a text for standard output, and nothing else to do. */
export interface Information {
  readonly information: string;
}

const text = (description: string, alias?: string): Options => ({
  type: 'string',
  requiresArg: true, // or a lone - would be no value
  description,
  ...(alias === undefined ? {} : { alias }),
});

const flag = (description: string, alias?: string): Options => ({
  type: 'boolean',
  description,
  ...(alias === undefined ? {} : { alias }),
});

const commonOptions = {
  user: text('whose message it is; asked for in a terminal', 'u'),
  key: text(
    'alias/NAME, a key id or ARN of AWS KMS, local, local:FILE or rsa:FILE (default: KEY_ID)',
    'k',
  ),
  in: text('read from FILE; - is standard input', 'i'),
  out: text('write to FILE, mode 0600, all or nothing', 'o'),
  batch: flag('JSON Lines in and out, one message on each line'),
  json: flag('one JSON object on standard output'),
  region: text('AWS Region, as in the AWS CLI'),
  profile: text('AWS profile, as in the AWS CLI'),
  'env-file': text('settings file (default: .env in this folder, if there is one)'),
  quiet: flag(
    'no progress, no notices but for a new local key, a strange endpoint, a fallback Region or key',
    'q',
  ),
} satisfies Record<string, Options>;

const commands = {
  'kms-encrypt': {
    description:
      'Encrypts a message for a user, with AWS KMS or a local key. The message is typed at a prompt, piped in, or read from a file: never an argument, which every process could see.',
    options: {
      ...commonOptions,
      hide: flag("don't show the message while it is typed"),
      binary: flag('write the ciphertext as bytes instead of base64; never to a terminal'),
    },
    examples: [
      ['kms-encrypt', 'choose a user, type a message'],
      ['kms-encrypt -u alice < secret.txt > secret.b64', 'in a script'],
      ['tar c folder | kms-encrypt -u alice --binary > folder.enc', 'anything of any size'],
      ['kms-encrypt --batch < messages.jsonl > encrypted.jsonl', 'many messages'],
    ],
  },
  'kms-decrypt': {
    description: 'Decrypts a message, for the user it was encrypted for.',
    options: {
      ...commonOptions,
      hide: flag("don't show the ciphertext while it is typed"),
      inspect: flag('say what a ciphertext is, without decrypting it: no user, no key, no call'),
    },
    examples: [
      ['kms-decrypt', 'choose a user, paste a message'],
      ['kms-decrypt -u alice < secret.b64 > secret.txt', 'in a script'],
      ['kms-decrypt --batch < encrypted.jsonl > messages.jsonl', 'many messages'],
      ['kms-decrypt --inspect < secret.b64', 'what is it, and which keys open it?'],
    ],
  },
  'kms-reencrypt': {
    description:
      'Moves an encrypted message to another key, for the same user. AWS KMS moves what it encrypted itself, where both keys are in one Region and no backup keys are set; all else is decrypted and encrypted again in one stream. The file may be replaced: -i and -o may name the same one. Needed to leave a key for good, or to give old messages the backup keys that are set now. Not needed when AWS rotates a key: that never breaks old messages.',
    options: {
      ...commonOptions,
      key: text('the key it was encrypted with (default: KEY_ID; DECRYPT_KEYS are tried too)', 'k'),
      'to-key': text('the key to move it to (default: KEY_ID)'),
      hide: flag("don't show the ciphertext while it is typed"),
      binary: flag('write the ciphertext as bytes, also where it came as base64'),
    },
    examples: [
      ['kms-reencrypt -u alice --to-key alias/new -i x.enc -o x.enc', 'a file, in its place'],
      ['kms-reencrypt -u alice --to-key alias/new < old.b64 > new.b64', 'in a script'],
      ['kms-reencrypt --batch --to-key alias/new -i all.jsonl -o all.jsonl', 'many messages'],
      [
        'DECRYPT_KEYS=alias/old kms-reencrypt',
        'paste a message of an old key, to move it to KEY_ID',
      ],
    ],
  },
  'kms-doctor': {
    description:
      'Is this set-up right, and which routes to the messages work? It looks at the settings, files, identities, keys and the clock, then sends a random message through each route: every Region, every backup key, every private key at hand. It writes nothing. The status is 0 only if nothing is wrong.',
    options: {
      user: text('whom the random messages are for (default: the first of USERS)', 'u'),
      key: commonOptions.key,
      json: flag('one JSON object on standard output: {ok, checks}'),
      region: commonOptions.region,
      profile: commonOptions.profile,
      'env-file': commonOptions['env-file'],
      quiet: commonOptions.quiet,
    },
    examples: [
      ['kms-doctor', 'is all well here?'],
      ['kms-doctor -u carol --env-file production.env', 'another set-up, with USERS=*'],
      ['kms-doctor --json > report.json || mail-it', 'in cron'],
      ['kms-doctor --key rsa:private.pem', 'does this private key open what BACKUP_KEYS wrote?'],
    ],
  },
} satisfies Record<
  string,
  { description: string; options: Record<string, Options>; examples: [string, string][] }
>;

const epilogue =
  'Settings come from the environment, then from .env: KEY_ID, BACKUP_KEYS, DECRYPT_KEYS, USERS, AWS_REGION and more (see README.md).\n' +
  "Exit status: 0 done, 1 unexpected, 2 usage, 3 can't be decrypted, 4 refused, 5 KMS unavailable.";

/** Each command line on one line, whatever the width: yargs would break it, and it is to be copied. */
const exampleText = (examples: readonly (readonly [string, string])[]): string =>
  ['Examples:', ...examples.flatMap(([line, what]) => [`  ${line}`, `      ${what}`])].join('\n');

/**
 * yargs itself takes `--hide=yes` for `--hide=false`, and a few names that nobody declared: of its
 * own (`--get-yargs-completions`) and of JavaScript's objects (`--constructor`).
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
    if (each === '--') return; // what follows is no option, and refused as such
    const [, name, value] = /^--([^=]*)(=[^]*)?$/.exec(each) ?? [];
    if (name === undefined) continue;
    const type = names.get(name);
    if (type === undefined) {
      // It may be the message: a private key begins with hyphens too.
      refuse(
        /^[a-zA-Z-]{1,30}$/.test(name)
          ? `There is no option --${name}.`
          : 'There is no such option.',
      );
    }
    if (type === 'boolean' && value !== undefined) refuse(`--${name} takes no value.`);
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
  // A text that is no option may be the secret itself: it is never repeated in an error.
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
    // yargs' own sentences can repeat what was given, so only the option's name is taken from them.
    const option = /^Not enough arguments following: ([a-z-]+)$/.exec(
      (cause as Error).message,
    )?.[1];
    throw usageError(
      option === undefined
        ? 'The command line can not be read.'
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
    refuse(`There is no option ${unknown.length === 1 ? '-' : '--'}${unknown}.`);
  }
  if (Array.isArray(parsed._) && parsed._.length > 0) {
    throw usageError(
      'A message is never an argument, which other users of this machine could see, and nothing else is one.',
      'in' in options
        ? `Type it at the prompt, pipe it in, or name a file with --in. ${seeHelp}`
        : seeHelp,
    );
  }
  const given = (name: string): string | undefined => {
    const value = parsed[name];
    if (Array.isArray(value)) refuse(`--${name} was given more than once.`);
    if (value === '') refuse(`--${name} needs a value.`);
    return value as string | undefined;
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
    region: given('region'),
    profile: given('profile'),
    envFile: given('env-file'),
    quiet: isSet('quiet'),
  };
}
