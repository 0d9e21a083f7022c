/** The options of each command, with the words of its help. */
import type { Options } from 'yargs';

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

export const commands = {
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

export const epilogue =
  'Settings come from the environment, then from .env: KEY_ID, BACKUP_KEYS, DECRYPT_KEYS, USERS, AWS_REGION and more (see README.md).\n' +
  "Exit status: 0 done, 1 unexpected, 2 usage, 3 can't be decrypted, 4 refused, 5 KMS unavailable.";
