import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Arguments, parseArguments } from '../../src/cli/arguments.ts';
import type { CommandName } from '../../src/cli/options.ts';
import { KmsPocError } from '../../src/errors.ts';
import { commandLine, run } from '../support/command.ts';
import { checkLine, failureOf, readFailure } from '../support/failure.ts';

const commands = ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt'] as const;

async function parsed(argv: string[], command: CommandName = 'kms-encrypt'): Promise<Arguments> {
  const args = await parseArguments(command, argv, '1.2.3', 80);
  assert.ok(!('information' in args));
  return args;
}

async function information(argv: string[], command: CommandName = 'kms-encrypt'): Promise<string> {
  const args = await parseArguments(command, argv, '1.2.3', 80);
  assert.ok('information' in args);
  return args.information;
}

/** @returns the message of the usage error */
async function refusal(argv: string[], command: CommandName = 'kms-encrypt'): Promise<string> {
  const error = await parseArguments(command, argv, '1.2.3', 80).then(
    () => assert.fail(`${argv.join(' ')} was to be refused`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KmsPocError);
  assert.deepEqual([error.code, error.status], ['Usage', 2]);
  checkLine(error.message);
  assert.match(error.hint ?? '', new RegExp(`See ${command} --help\\.$`));
  return error.message;
}

const nothing: Arguments = {
  user: undefined,
  key: undefined,
  toKey: undefined,
  in: undefined,
  out: undefined,
  hide: false,
  binary: false,
  batch: false,
  inspect: false,
  json: false,
  sign: false,
  requireSigned: false,
  region: undefined,
  profile: undefined,
  envFile: undefined,
  quiet: false,
};

describe('what is accepted', () => {
  test('nothing', async () => {
    for (const command of commands) assert.deepEqual(await parsed([], command), nothing);
  });

  test('each option, by its long and its short name', async () => {
    const long = [
      ...['--user', 'alice', '--key', 'alias/theKey', '--in', 'a', '--out=b', '--hide', '--binary'],
      ...[
        '--batch',
        '--json',
        '--sign',
        '--region',
        'eu-central-1',
        '--profile',
        'p',
        '--env-file',
        'e',
        '--quiet',
      ],
    ];
    const all = {
      user: 'alice',
      key: 'alias/theKey',
      toKey: undefined,
      in: 'a',
      out: 'b',
      hide: true,
      binary: true,
      batch: true,
      inspect: false,
      json: true,
      sign: true,
      requireSigned: false,
      region: 'eu-central-1',
      profile: 'p',
      envFile: 'e',
      quiet: true,
    };
    assert.deepEqual(await parsed(long), all);
    const more = ['--to-key', 'local', '--require-signed'];
    assert.deepEqual(await parsed([...long, ...more], 'kms-reencrypt'), {
      ...all,
      toKey: 'local',
      requireSigned: true,
    });
    assert.deepEqual(await parsed(['-u', 'a', '-k', 'local', '-i', 'x', '-o', 'y', '-q']), {
      ...nothing,
      user: 'a',
      key: 'local',
      in: 'x',
      out: 'y',
      quiet: true,
    });
  });

  test('a lone hyphen is a value', async () => {
    for (const argv of [['-i', '-'], ['--in', '-'], ['--in=-'], ['-i=-']]) {
      assert.equal((await parsed(argv)).in, '-');
    }
  });

  test('a value stays as it was given', async () => {
    for (const user of ['007', '1e3', '0x10', 'true', 'a=b', 'a b', 'ä', '-5', '__proto__']) {
      assert.equal((await parsed([`--user=${user}`])).user, user);
    }
    assert.equal((await parsed(['--user', '007'])).user, '007');
  });

  test('one-letter options together, and with their values', async () => {
    const expected = { ...nothing, quiet: true, user: 'alice', in: '-' };
    for (const argv of [
      ['-q', '-ualice', '-i-'],
      ['-qualice', '-i', '-'],
      ['-u=alice', '-qi-'],
      ['-qu', 'alice', '-qi=-'],
      ['-u', 'alice', '-i-', '--quiet'],
    ]) {
      assert.deepEqual(await parsed(argv), expected, argv.join(' '));
    }
    assert.equal((await parsed(['-u-x'])).user, '-x');
    assert.equal((await parsed(['-kalias/a=b'])).key, 'alias/a=b');
  });

  test('a flag may be given twice', async () => {
    assert.equal((await parsed(['-q', '--quiet'])).quiet, true);
  });
});

describe('what is refused', () => {
  const refused: [string[], string][] = [
    [['--message', 'x'], 'Unknown option --message.'],
    [['--usr', 'alice'], 'Unknown option --usr.'],
    [['--us', 'alice'], 'Unknown option --us.'],
    [['-x'], 'Unknown option -x.'],
    [['-qx'], 'Unknown option -x.'],
    [['-é'], 'Unknown option.'],
    [['-ピ'], 'Unknown option.'],
    [['-1é'], 'Unknown option.'],
    [['--no-json'], 'Unknown option --no-json.'],
    [['--envFile', 'x'], 'Unknown option --envFile.'],
    // Names that yargs or JavaScript would recognize.
    [['--constructor'], 'Unknown option --constructor.'],
    [['--toString=x'], 'Unknown option --toString.'],
    [['--get-yargs-completions'], 'Unknown option --get-yargs-completions.'],
    [['--__proto__.user=x'], 'Unknown option.'],
    [['--_=x'], 'Unknown option.'],
    [['--$0=x'], 'Unknown option.'],
    [['--user.name=x'], 'Unknown option.'],
    // A flag set to any value would count as false: --hide=yes would show the message.
    [['--hide=yes'], "--hide doesn\'t take a value."],
    [['--json='], "--json doesn\'t take a value."],
    [['--help=me'], "--help doesn\'t take a value."],
    [['--user'], '--user needs a value.'],
    [['-u'], '-u needs a value.'],
    [['--user='], '--user needs a value.'],
    [['--user', ''], '--user needs a value.'],
    [['--user', '--json'], '--user needs a value.'],
    [['--in', '-x'], '--in needs a value.'],
    [['--env-file'], '--env-file needs a value.'],
    [['--user', 'alice', '--user', 'bob'], '--user was given more than once.'],
    [['--user', 'alice', '-u', 'alice'], '--user was given more than once.'],
    [['-k', 'local', '-k', 'local'], '--key was given more than once.'],
  ];
  for (const [argv, message] of refused) {
    test(argv.join(' '), async () => {
      for (const command of commands) assert.equal(await refusal(argv, command), message);
    });
  }

  test('a misspelt option, with the right one named', async () => {
    const near: [string, string | undefined][] = [
      ['--usr', '--user'],
      ['--us', '--user'],
      ['--username', '--user'],
      ['--uesr', '--user'],
      ['--envFile', '--env-file'],
      ['--env_file', undefined],
      ['--env-flie', '--env-file'],
      ['--output', '--out'],
      ['--input', '--in'],
      ['--verison', '--version'],
      ['--Json', '--json'],
      ['--message', undefined],
      ['--x', undefined],
      ['-x', undefined],
    ];
    for (const [given, meant] of near) {
      const { hint } = await failureOf('kms-encrypt', [given, 'x']);
      const seeHelp = 'See kms-encrypt --help.';
      assert.equal(hint, meant === undefined ? seeHelp : `Did you mean ${meant}? ${seeHelp}`);
    }
  });

  test('an option of other commands, with their names', async () => {
    const others = 'kms-encrypt, kms-decrypt, kms-reencrypt';
    const owners: [CommandName, string, string, near?: string][] = [
      ['kms-encrypt', '--inspect', 'kms-decrypt', '--in'],
      ['kms-encrypt', '--users', 'kms-deploy', '--user'],
      ['kms-decrypt', '--binary', 'kms-encrypt, kms-reencrypt'],
      ['kms-doctor', '--hide', others],
      ['kms-doctor', '-o', others],
      ['kms-deploy', '--batch=x', others],
    ];
    for (const [command, given, owner, near] of owners) {
      const { code, message, hint } = await failureOf(command, [given]);
      const name = given.replace('=x', '');
      assert.equal(code, 'Usage');
      assert.equal(message, `Unknown option ${name}.`);
      const meant = near === undefined ? '' : `Did you mean ${near}? `;
      assert.equal(hint, `${meant}${name} is an option of ${owner}. See ${command} --help.`);
    }
  });

  test('--binary, if a plaintext is written', async () => {
    assert.equal(await refusal(['--binary'], 'kms-decrypt'), 'Unknown option --binary.');
  });

  test('--inspect, if there is no ciphertext yet', async () => {
    assert.equal(await refusal(['--inspect']), 'Unknown option --inspect.');
    assert.equal((await parsed(['--inspect'], 'kms-decrypt')).inspect, true);
  });

  test('a message as an argument, without repeating any of it', async () => {
    const messages = [
      'this is a secret',
      'secret',
      '-',
      '-1',
      '',
      '-----BEGIN PRIVATE KEY-----\nsecret',
      '--secret with spaces',
      '-secret',
    ];
    for (const message of messages) {
      for (const argv of [[message], ['-u', 'alice', message], ['--', message], ['-q', message]]) {
        assert.doesNotMatch(await refusal(argv), /secret|PRIVATE/);
      }
    }
    assert.match(await refusal(['this is a secret']), /^Unexpected argument/);
  });
});

describe('help and version', () => {
  test('help names each option, and all of it is ASCII in 80 columns', async () => {
    for (const command of commands) {
      const help = await information(['--help'], command);
      assert.match(help, new RegExp(`^Usage: ${command} \\[options\\]\n`));
      const names = Object.keys(nothing).map((name) =>
        name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      );
      const missing = names.filter((name) => !help.includes(` --${name} `));
      assert.deepEqual(
        missing,
        {
          'kms-encrypt': ['to-key', 'inspect', 'require-signed'],
          'kms-decrypt': ['to-key', 'binary', 'sign'],
          'kms-reencrypt': ['inspect'],
        }[command],
      );
      assert.match(help, /\n$/);
      for (const line of help.split('\n')) assert.match(line, /^[\x20-\x7e]{0,80}$/);
    }
  });

  test('help comes first, whatever else is given', async () => {
    for (const argv of [
      ['--help', 'x'],
      ['-u', 'a', '--help'],
      ['--version', '--help'],
    ]) {
      assert.match(await information(argv), /Options:/);
    }
  });

  test('the version alone', async () => {
    for (const argv of [['--version'], ['-v'], ['-qv'], ['-u', 'alice', '-v']]) {
      assert.equal(await information(argv), '1.2.3\n');
    }
  });

  test('by one letter', async () => {
    for (const argv of [['-h'], ['-qh'], ['-hv'], ['-ualice', '-h']]) {
      assert.equal(await information(argv), await information(['--help']));
    }
  });

  test('fits narrow windows, whole words to a line, with options named by what they take', async () => {
    for (const columns of [40, 60, 200]) {
      const args = await parseArguments('kms-encrypt', ['--help'], '1.2.3', columns);
      assert.ok('information' in args);
      assert.match(args.information, /^ {2}-u, --user NAME\b/m);
      assert.doesNotMatch(args.information, /\[(?:string|boolean)\]/);
      const [text = '', examples = ''] = args.information.split('Examples:');
      for (const line of text.split('\n')) assert.ok(line.length <= Math.min(columns, 100), line);
      assert.match(text.replace(/\s+/g, ' '), /the user the message is for \(default: asked/);
      // So that it can be copied.
      assert.match(examples, /^ {2}tar c folder \| kms-encrypt -u alice --binary > folder\.enc$/m);
    }
  });
});

describe('the commands', () => {
  test('help is English, goes to standard output and needs nothing', async () => {
    for (const LC_ALL of ['de_DE.UTF-8', 'ja_JP.UTF-8']) {
      const { status, stdout, stderr } = await run('kms-encrypt', ['--help'], {
        env: { LC_ALL, LANG: LC_ALL, HOME: undefined },
      });
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout.toString(), /^Usage: kms-encrypt \[options\]\n[^]*show this help/);
    }
  });

  test('a usage error is status 2, in words and as JSON', async () => {
    const failure = await failureOf('kms-decrypt', ['--no-such-option']);
    assert.deepEqual(failure, {
      status: 2,
      code: 'Usage',
      message: 'Unknown option --no-such-option.',
      hint: 'See kms-decrypt --help.',
      notices: [],
    });
    const { status, stdout, stderr } = await run('kms-encrypt', ['secret'], {
      env: { LC_ALL: 'de_DE.UTF-8' },
    });
    assert.deepEqual([status, stdout.length], [2, 0]);
    assert.equal(
      stderr,
      'kms-encrypt: Unexpected argument. Messages are never passed on the command line, where other users could see them.\n' +
        'hint: Name the user with -u NAME. Type the message at the prompt, pipe it in, or use --in FILE. See kms-encrypt --help.\n',
    );
  });

  test('say so if the folder was deleted', async () => {
    const { file, args } = commandLine('kms-encrypt', ['-u', 'alice', '-k', 'local', '--json']);
    const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"';
    const finished = await run('sh', ['-c', script, file, ...args], { stdin: 'x' });
    // The shell that starts the command prints a message of its own about it.
    const stderr = finished.stderr.replace(/^(?:sh|shell-init): .*getcwd.*\n/, '');
    const failure = readFailure({ ...finished, stderr });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /^The current folder no longer exists\.$/);
  });
});
