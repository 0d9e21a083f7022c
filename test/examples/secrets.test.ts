/** examples/secrets: what a team does with it, in a copy of the folder. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, beforeEach, test } from 'node:test';
import {
  type Environment,
  type Finished,
  run,
  surroundings,
  temporaryFolder,
} from '../support/command.ts';
import { pathWithCommands } from '../support/installed.ts';
import { makeRsaPair, type RsaPair } from '../support/rsa-keys.ts';

const example = join(import.meta.dirname, '..', '..', 'examples', 'secrets');
const script = join('secrets', 'secrets.sh');
const path = pathWithCommands();
const home = temporaryFolder();
const pairs = temporaryFolder();

let anna: RsaPair;
let ben: RsaPair;
/** The team's repository, with the example in it. */
let cwd: string;
/** Where temporary files are made. */
let temporary: string;

before(() => {
  anna = makeRsaPair(pairs, 'anna');
  ben = makeRsaPair(pairs, 'ben');
});
beforeEach(() => {
  cwd = temporaryFolder();
  temporary = temporaryFolder();
  cpSync(example, join(cwd, 'secrets'), { recursive: true });
  mkdirSync(join(cwd, 'secrets', 'members'));
  cpSync(anna.publicFile, join(cwd, 'secrets', 'members', 'anna.pem'));
  useMembers('anna');
});

/** What CI decrypts with is a local key here. */
function useMembers(...names: string[]): void {
  const settings = readFileSync(join(example, 'settings'), 'utf8')
    .replace(/^KEY_ID=.*$/m, `KEY_ID=local:${home}/ci.key`)
    .replace(/^BACKUP_KEYS=.*$/m, `BACKUP_KEYS=${names.map((n) => `rsa:members/${n}.pem`).join()}`);
  writeFileSync(join(cwd, 'secrets', 'settings'), settings);
}

const envWith = (more: Environment): Environment => ({
  PATH: path,
  TMPDIR: temporary,
  // A person's own settings, which must not decide who can read the team's secrets.
  KEY_ID: 'local',
  BACKUP_KEYS: ',',
  ...more,
});

const secrets = (args: string[], stdin = '', more: Environment = {}): Promise<Finished> =>
  run(script, args, { cwd, home, stdin, env: envWith(more) });

async function succeeds(args: string[], stdin?: string, more?: Environment): Promise<string> {
  const { status, stdout, stderr } = await secrets(args, stdin, more);
  assert.equal(status, 0, stderr);
  return stdout.toString();
}

/** Runs without CI's key. */
async function withoutKeyOfCi<T>(action: () => Promise<T>): Promise<T> {
  renameSync(join(home, 'ci.key'), join(home, 'elsewhere'));
  try {
    return await action();
  } finally {
    renameSync(join(home, 'elsewhere'), join(home, 'ci.key'));
  }
}

const ciphertext = (): string => readFileSync(join(cwd, 'secrets', 'ci.enc'), 'utf8');
const text = '# for the release\nTOKEN=a=b "c" $(touch run)\n\nURL=https://example.com/?a=1\n';

test('what is encrypted for CI is in the environment of a command there, and nowhere else', async () => {
  await succeeds(['encrypt', 'ci'], text);
  assert.match(ciphertext(), /^AgR4[A-Za-z0-9+/]+=*\n$/);
  const filesBefore = readdirSync(cwd, { recursive: true });
  const show = 'cat; printf "%s\\n" "$TOKEN" "$URL"; exit 7';
  const { status, stdout, stderr } = await secrets(['run', 'ci', 'sh', '-c', show], 'its input\n');
  assert.equal(
    stdout.toString(),
    'its input\na=b "c" $(touch run)\nhttps://example.com/?a=1\n',
    stderr,
  );
  assert.deepEqual([status, stderr], [7, '']);
  assert.deepEqual(readdirSync(cwd, { recursive: true }), filesBefore);
  assert.deepEqual(readdirSync(temporary), []);
});

test('they are written to a file that only its owner can read, from any folder', async () => {
  await succeeds(['encrypt', 'ci'], text);
  const elsewhere = temporaryFolder();
  const { status, stderr } = await run(join(cwd, script), ['decrypt', 'ci', 'app.env'], {
    cwd: elsewhere,
    home,
    env: envWith({}),
  });
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(readFileSync(join(elsewhere, 'app.env'), 'utf8'), text);
  assert.equal(statSync(join(elsewhere, 'app.env')).mode & 0o777, 0o600);
});

test("a command is not run if its secrets can't be read", async () => {
  await succeeds(['encrypt', 'ci'], text);
  await succeeds(['encrypt', 'staging'], 'GOOD=1\nnot an assignment\n');
  // One set in the place of the other: it is for another user.
  cpSync(join(cwd, 'secrets', 'ci.enc'), join(cwd, 'secrets', 'other.enc'));
  const settings = join(cwd, 'secrets', 'settings');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace('USERS=ci', 'USERS=other,ci'));
  for (const [name, status, message] of [
    ['staging', 2, /^secrets\.sh: line 2 of staging is not NAME=value with an upper-case NAME\n$/],
    ['other', 3, /^kms-decrypt: This message is for "?ci"?/],
    ['prod', 2, /^kms-decrypt: prod is not one of the users/],
    ['../ci', 2, /^secrets\.sh: usage: /],
  ] as const) {
    const finished = await secrets(['run', name, 'echo', 'it ran']);
    assert.match(finished.stderr, message);
    assert.deepEqual([finished.status, finished.stdout.toString()], [status, '']);
  }
});

test('a member reads them with a private key, and edits them', async () => {
  await succeeds(['encrypt', 'ci'], text);
  const before = ciphertext();
  const member = { DECRYPT_KEYS: `rsa:${anna.privateFile}` };
  await withoutKeyOfCi(async () => {
    const { stderr } = await secrets(['edit', 'ci'], '', { ...member, EDITOR: 'true' });
    assert.match(stderr, /^secrets\.sh: ci is unchanged$/m);
    assert.equal(ciphertext(), before);
  });
  // sed -i leaves no backup file, other editors do.
  const EDITOR = `sed -i.bak 's/^TOKEN=.*/TOKEN=new/'`;
  await succeeds(['edit', 'ci'], '', { ...member, EDITOR });
  assert.equal(await succeeds(['run', 'ci', 'printenv', 'TOKEN']), 'new\n');
  await succeeds(['edit', 'staging'], '', { VISUAL: 'echo NEW=1 >' });
  assert.equal(await succeeds(['run', 'staging', 'printenv', 'NEW']), '1\n');
  assert.deepEqual(readdirSync(temporary), []);
});

test('an edit that fails, or is interrupted, leaves the old secrets and no plaintext', async (t) => {
  await succeeds(['encrypt', 'ci'], text);
  const before = ciphertext();
  const broken = await secrets(['edit', 'ci'], '', {
    EDITOR: 'f() { echo x >"$1"; return 4; }; f',
  });
  assert.equal(broken.status, 4);

  const EDITOR = 'cat - ';
  const { env } = surroundings({ home, env: envWith({ EDITOR }) });
  const child = spawn(script, ['edit', 'ci'], { cwd, env, detached: true, stdio: 'pipe' });
  t.after(() => child.stdin.destroy());
  // Its echo shows that the editor runs, and that the shells wait for it.
  child.stdin.write('ready?');
  await once(child.stdout, 'data');
  assert.notDeepEqual(readdirSync(temporary), []);
  // Ctrl-C goes to all processes of a terminal's job.
  process.kill(-(child.pid ?? assert.fail()), 'SIGINT');
  assert.deepEqual(await once(child, 'close'), [130, null]);

  assert.equal(ciphertext(), before);
  assert.deepEqual(readdirSync(temporary), []);
});

test('a new member reads them once they are re-encrypted, and one who left does not', async () => {
  await succeeds(['encrypt', 'ci'], text);
  await succeeds(['encrypt', 'staging'], text);
  const read = (name: string, { privateFile }: RsaPair): Promise<Finished> =>
    withoutKeyOfCi(() =>
      secrets(['run', name, 'printenv', 'URL'], '', { DECRYPT_KEYS: `rsa:${privateFile}` }),
    );
  const assertRefused = ({ status, stdout, stderr }: Finished): void => {
    // 4, because the first key that could open it, CI's, is not here.
    assert.deepEqual([status, stdout.toString()], [4, '']);
    assert.match(stderr, /^kms-decrypt: There is no local key .*\nhint: .*\n$/);
  };
  assertRefused(await read('ci', ben));

  cpSync(ben.publicFile, join(cwd, 'secrets', 'members', 'ben.pem'));
  rmSync(join(cwd, 'secrets', 'members', 'anna.pem'));
  useMembers('ben');
  await succeeds(['rekey']);
  for (const name of ['ci', 'staging']) {
    const { status, stdout } = await read(name, ben);
    assert.deepEqual([status, stdout.toString()], [0, 'https://example.com/?a=1\n']);
    assertRefused(await read(name, anna));
    assert.equal(await succeeds(['run', name, 'printenv', 'URL']), 'https://example.com/?a=1\n');
  }
});
