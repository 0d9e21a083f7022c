/** The options of each command, with their help texts. */
import type { Options } from 'yargs';

const text = (description: string, alias?: string): Options => ({
  type: 'string',
  requiresArg: true, // otherwise a lone - would not count as a value
  description,
  ...(alias === undefined ? {} : { alias }),
});

const flag = (description: string, alias?: string): Options => ({
  type: 'boolean',
  description,
  ...(alias === undefined ? {} : { alias }),
});

const commonOptions = {
  user: text('the user the message is for (default: asked for in a terminal)', 'u'),
  key: text(
    'an AWS KMS key (alias/NAME, key id or ARN), local, local:FILE, rsa:FILE or vault:NAME (default: KEY_ID)',
    'k',
  ),
  in: text('read from FILE; - is standard input', 'i'),
  out: text('write to FILE, mode 0600, all or nothing', 'o'),
  batch: flag('read and write JSON Lines, one message per line'),
  json: flag('print one JSON object on standard output'),
  region: text('AWS Region, as in the AWS CLI'),
  profile: text('AWS profile, as in the AWS CLI'),
  'env-file': text('settings file (default: .env in the current folder, if there is one)'),
  quiet: flag(
    'no progress and no notices, except about a new local key, a non-AWS endpoint, or a fallback Region or key',
    'q',
  ),
} satisfies Record<string, Options>;

const sign = flag(
  "sign the message, so that those who can only decrypt can't forge it (default: SIGN)",
);
const requireSigned = flag('refuse unsigned AWS Encryption SDK messages (default: REQUIRE_SIGNED)');

export const commands = {
  'kms-encrypt': {
    description:
      'Encrypts a message for a user, with AWS KMS or a local key. Type the message at the prompt, pipe it in, or read it from a file. It is never an argument: every process can see those.',
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
      key: text('the key it was encrypted with (default: KEY_ID; DECRYPT_KEYS are tried too)', 'k'),
      'to-key': text('the key to move it to (default: KEY_ID)'),
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
      user: text('the user to encrypt random messages for (default: the first in USERS)', 'u'),
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
      ['kms-doctor --json > report.json || mail-it', 'in cron'],
      [
        'kms-doctor --key rsa:private.pem',
        'can this private key open what was encrypted with BACKUP_KEYS?',
      ],
    ],
  },
} satisfies Record<
  string,
  { description: string; options: Record<string, Options>; examples: [string, string][] }
>;

export const epilogue =
  'Settings come from the environment, then from .env: KEY_ID, BACKUP_KEYS, DECRYPT_KEYS, USERS, AWS_REGION and more (see README.md).\n' +
  "Exit status: 0 done, 1 unexpected, 2 usage, 3 can't be decrypted, 4 refused, 5 KMS unavailable.";
