/** The options of each command, with their help texts. */

export interface Option {
  /** One letter. */
  readonly short?: string;
  /** The name of its value, as help shows it; undefined: a flag, without a value. */
  readonly value?: string;
  readonly description: string;
}

type Options = Readonly<Record<string, Option>>;

const option = (value: string, description: string, short?: string): Option => ({
  value,
  description,
  ...(short === undefined ? {} : { short }),
});

const flag = (description: string, short?: string): Option => ({
  description,
  ...(short === undefined ? {} : { short }),
});

const commonOptions = {
  user: option('NAME', 'the user the message is for (default: asked for in a terminal)', 'u'),
  key: option(
    'KEY',
    'an AWS KMS key (alias/NAME, key id or ARN), local, local:FILE, rsa:FILE[#FINGERPRINT] or vault:NAME (default: KEY_ID)',
    'k',
  ),
  in: option('FILE', 'read from FILE; - is standard input', 'i'),
  out: option('FILE', 'write to FILE, mode 0600, all or nothing', 'o'),
  batch: flag('read and write JSON Lines, one message per line'),
  json: flag('print one JSON object on standard output'),
  region: option('REGION', 'AWS Region, as in the AWS CLI'),
  profile: option('PROFILE', 'AWS profile, as in the AWS CLI'),
  'env-file': option(
    'FILE',
    'settings file (default: .env in the current folder, if there is one)',
  ),
  quiet: flag(
    "no progress and no notices, except about a new local key, keys from an .env that nobody named, a key file that others can change, an endpoint that isn't AWS's, or a fallback Region or key",
    'q',
  ),
} satisfies Options;

const sign = flag(
  "sign the message, so that those who can only decrypt can't forge it (default: SIGN)",
);
const requireSigned = flag('refuse unsigned AWS Encryption SDK messages (default: REQUIRE_SIGNED)');

export const commands = {
  'kms-encrypt': {
    description:
      'Encrypts a message for a user, with a key in AWS KMS or Vault, or a local key. Type the message at the prompt, pipe it in, or read it from a file. It is never an argument: every process can see those.',
    options: {
      ...commonOptions,
      hide: flag("don't show the message as it is typed"),
      binary: flag('write raw bytes instead of base64 (never to a terminal)'),
      sign,
    },
    examples: [
      ['kms-encrypt', 'choose a user, type a message'],
      ['kms-encrypt -u alice < secret.txt > secret.b64', 'in a script'],
      ['tar c folder | kms-encrypt -u alice --binary > folder.enc', 'any data of any size'],
      ['kms-encrypt --batch < messages.jsonl > encrypted.jsonl', 'many messages'],
    ],
  },
  'kms-decrypt': {
    description: 'Decrypts a message for the user it was encrypted for.',
    options: {
      ...commonOptions,
      hide: flag("don't show the ciphertext as it is typed"),
      'require-signed': requireSigned,
      inspect: flag('describe a ciphertext without decrypting it; needs no user, key or network'),
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
      "Moves an encrypted message to another key, for the same user. Use it to stop using a key, or to add your current backup keys to old messages. You don't need it when AWS rotates a key: old messages still open. A message that AWS KMS encrypted itself is moved inside KMS if both keys are in the same Region and no backup keys are set; anything else is decrypted and re-encrypted in one stream. -i and -o may name the same file.",
    options: {
      ...commonOptions,
      key: option(
        'KEY',
        'the key it was encrypted with (default: KEY_ID; DECRYPT_KEYS are tried too)',
        'k',
      ),
      'to-key': option('KEY', 'the key to move it to (default: KEY_ID)'),
      hide: flag("don't show the ciphertext as it is typed"),
      binary: flag('write raw bytes even if the input was base64'),
      sign,
      'require-signed': requireSigned,
    },
    examples: [
      ['kms-reencrypt -u alice --to-key alias/new -i x.enc -o x.enc', 'a file, in place'],
      ['kms-reencrypt -u alice --to-key alias/new < old.b64 > new.b64', 'in a script'],
      ['kms-reencrypt --batch --to-key alias/new -i all.jsonl -o all.jsonl', 'many messages'],
      [
        'DECRYPT_KEYS=alias/old kms-reencrypt',
        'paste a message encrypted with an old key, to move it to KEY_ID',
      ],
    ],
  },
  'kms-doctor': {
    description:
      'Checks your setup: settings, files, identities and keys. Then it sends random messages through every route: each Region, each backup key, each private key at hand. It changes nothing. The exit status is 0 only if nothing is wrong.',
    options: {
      user: option(
        'NAME',
        'the user to encrypt random messages for (default: the first in USERS)',
        'u',
      ),
      key: commonOptions.key,
      json: flag('print one JSON object on standard output: {ok, checks}'),
      region: commonOptions.region,
      profile: commonOptions.profile,
      'env-file': commonOptions['env-file'],
      quiet: commonOptions.quiet,
    },
    examples: [
      ['kms-doctor', 'check your setup'],
      ['kms-doctor -u carol --env-file production.env', 'check another setup, where USERS is *'],
      ['kms-doctor > report.txt 2>&1 || mail-it', 'in cron'],
      [
        'kms-doctor --key rsa:private.pem',
        'can this private key open what was encrypted with BACKUP_KEYS?',
      ],
    ],
  },
  'kms-deploy': {
    description:
      'Creates the AWS resources of kms-poc in a CloudFormation stack, or brings them up to date, and writes KEY_ID, AWS_REGION and the credentials of kms-encrypt and kms-decrypt to .env. Shows what it is going to do, and asks.',
    options: {
      'stack-name': option(
        'NAME',
        'name of the stack (default: kms-poc); with another one, the alias is alias/NAME, and the names of exports begin with NAME-',
      ),
      users: option(
        'NAMES',
        "names allowed as the user, as alice,bob, or '*' for any (default: USERS, the stack's, alice,bob)",
      ),
      'replica-region': option(
        'REGION',
        'with a new stack: make the key multi-Region, with a replica there; can be repeated',
      ),
      parameter: option('NAME=VALUE', 'a parameter of infra/kms.yml; can be repeated'),
      'new-credentials': flag('replace both access keys'),
      adopt: flag('change a stack that was not made from infra/kms.yml; shows its parameters'),
      teardown: flag('delete the stack; the key itself is kept'),
      'dry-run': flag('show what would change, and change nothing'),
      yes: flag("don't ask; needed when there is no terminal"),
      json: flag("print the stack's outputs as one JSON object on standard output"),
      region: commonOptions.region,
      profile: commonOptions.profile,
      'env-file': option('FILE', 'settings file to write (default: .env in the current folder)'),
    },
    examples: [
      ['kms-deploy', 'create the stack, or bring it up to date'],
      ['kms-deploy --stack-name other --env-file other.env', 'a second stack'],
      ['kms-deploy --parameter ContextKeys=user,aws-crypto-public-key', 'allow signed messages'],
      ['kms-deploy --parameter Credentials=None', 'no IAM users: roles or SSO use the key'],
    ],
  },
} satisfies Record<string, { description: string; options: Options; examples: [string, string][] }>;

/** @returns as help shows it: `-u, --user NAME` */
export const optionTitle = (name: string, { short, value }: Option): string =>
  `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;

export type CommandName = keyof typeof commands;

export const shells = ['bash', 'zsh', 'fish'] as const;

/** @returns all options of a command, by their long names, in the order of the help text */
export const optionsOf = (command: CommandName): Options => ({
  ...commands[command].options,
  completion: option(
    'SHELL',
    `print a script that completes options at the Tab key (${shells.join(', ')})`,
  ),
  help: flag('show this help', 'h'),
  version: flag('show the version', 'v'),
});

export const epilogue =
  'Settings come from the environment, then from .env: KEY_ID, BACKUP_KEYS, DECRYPT_KEYS, USERS, AWS_REGION and more (see .env.example).';

export const exitStatuses: readonly (readonly [status: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'unexpected'],
  [2, 'usage'],
  [3, "can't be decrypted"],
  [4, 'refused'],
  [5, 'KMS or Vault unavailable'],
];
