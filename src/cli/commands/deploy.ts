/** `kms-deploy`: options and settings in, a stack and a settings file out. */
import { cwd, env } from 'node:process';
import { join } from 'node:path';

import { deploy, type Deployed, defaultStack, type Wishes } from '../../deploy/deploy.ts';
import { Declined, type Dialogue } from '../../deploy/dialogue.ts';
import { publicOutputs, removedCredentials } from '../../deploy/settings.ts';
import { teardown } from '../../deploy/teardown.ts';
import type { Template } from '../../deploy/template.ts';
import { type ExitStatus, exitStatus, KmsPocError, usageError } from '../../errors.ts';
import { isRegion } from '../../formats/kms-arn.ts';
import { streamOf } from '../../streams/byte-stream.ts';
import type { DeployArguments } from '../arguments.ts';
import { projectFolder, readTemplates } from '../deploy/project.ts';
import { openSettingsFile, type WritableSettings } from '../deploy/env-file.ts';
import { deferSignals } from '../interruption.ts';
import { createAccess, kmsOptions } from '../key-sources.ts';
import { jsonLine } from '../payload/json-line.ts';
import { standardOutput } from '../payload/output.ts';
import { defaultUsers, parseUsers, splitList } from '../setting-values.ts';
import { loadSettings, overridden, type Settings, tellOverrides } from '../settings.ts';
import { shellWord } from '../shell-word.ts';
import { askYes } from '../terminal/ask-yes.ts';
import { isInteractive } from '../terminal/ask-user.ts';
import { showLine as say } from '../terminal/notices.ts';
import type { Command } from './command.ts';

export const deployCommand: Command = async ({ deploy: args, ...common }, notices) => {
  if (args === undefined) throw new Error('the options are those of another command');
  const wishes = wishesOf(args);
  const settings = await loadSettings(common, env, { toWrite: true });
  tellOverrides(settings, env, notices);
  const envFile = await openSettingsFile(common.envFile, settings.file);
  const shared = createAccess(settings, notices);
  const access = {
    options: (service: Parameters<typeof kmsOptions>[1]) => kmsOptions(shared, service, undefined),
    get signal() {
      return deferSignals();
    },
  };
  let isAgreed = args.yes;
  const dialogue: Dialogue = {
    say,
    unchanged: `${envFile.path} is unchanged.`,
    confirm: async (question) => {
      isAgreed ||= await askYes(question);
      if (!isAgreed) throw new Declined();
    },
  };
  const located = { ...wishes, region: settings.region?.value, users: usersOf(args, settings) };
  try {
    if (args.teardown) {
      const theKeyArn = await teardown(access, located, dialogue, envFile.path);
      if (args.dryRun) say('Nothing was changed (--dry-run).');
      if (theKeyArn !== undefined) await printOutputs({ theKeyArn }, '', common.json);
      return exitStatus.ok;
    }
    const deployed = await deploy(access, located, dialogue);
    if (deployed === undefined) say('Nothing was changed (--dry-run).');
    else {
      await writeSettings(args, deployed, envFile);
      const { stack } = deployed;
      await printOutputs(publicOutputs(stack), stack.parameters.ExportPrefix ?? '', common.json);
      say(`Ready. Try: ${nextCommand(common.envFile)}`);
    }
    return exitStatus.ok;
  } catch (error) {
    return endOf(error, dialogue);
  }
};

function endOf(error: unknown, { unchanged }: Dialogue): ExitStatus {
  if (error instanceof Declined) {
    say('Nothing was changed.');
    return exitStatus.unexpected;
  }
  if (error instanceof KmsPocError && error.code === 'Interrupted')
    say(`Interrupted. ${unchanged}`);
  throw error;
}

/** @throws KmsPocError Usage */
function wishesOf(args: DeployArguments): Omit<Wishes, 'region' | 'users'> {
  const { stackName = defaultStack, replicaRegions } = args;
  // The groups and users get names of up to 64 characters that begin with the stack's.
  if (!/^[a-zA-Z][-a-zA-Z0-9]{0,99}$/.test(stackName)) {
    throw usageError(
      `Not a stack name: ${stackName}.`,
      'A stack name has up to 100 letters, digits and hyphens, and begins with a letter.',
    );
  }
  const wrong = replicaRegions.find((region) => !isRegion(region));
  if (wrong !== undefined) {
    throw usageError(`${wrong} is not an AWS Region.`, 'A Region looks like eu-central-1.');
  }
  if (args.teardown && args.newCredentials) {
    throw usageError(
      "--teardown can't be combined with --new-credentials.",
      'Remove one of the two.',
    );
  }
  const templates = readTemplates();
  const parameters = parametersOf(args, templates.main);
  if (!args.yes && !args.dryRun && !isInteractive()) {
    throw usageError(
      'There is no terminal to ask on.',
      'Add --yes to go on without a question, or --dry-run to look.',
    );
  }
  return {
    stackName,
    replicaRegions,
    templates,
    parameters,
    newCredentials: args.newCredentials,
    adopt: args.adopt,
    dryRun: args.dryRun,
  };
}

/** @throws KmsPocError Usage */
function parametersOf({ parameters }: DeployArguments, template: Template): Record<string, string> {
  const pairs = parameters.map((given): [string, string] => {
    const [, name, value] = /^([^=]*)=([^]*)$/.exec(given) ?? [];
    if (name === undefined || value === undefined) {
      throw usageError(
        `--parameter needs NAME=VALUE, not ${given}.`,
        'For example: UserIs=PrincipalTag',
      );
    }
    if (name === 'AllowedUsers') {
      throw usageError('AllowedUsers is set by --users.', 'So the commands and the stack agree.');
    }
    template.checkParameter(name, value);
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

/**
 * The users that somebody named, as a list for the template.
 *
 * @throws KmsPocError Usage
 */
function usersOf({ users: given }: DeployArguments, settings: Settings): string | undefined {
  const setting =
    given === undefined
      ? settings.find('USERS')
      : ({ name: 'USERS', value: given, origin: { option: '--users' } } as const);
  if (setting === undefined) return undefined;
  const users = parseUsers(setting);
  // The commands read it as "any", but a policy for anyone has to be meant.
  if (users === '*' && setting.value.trim() !== '*') {
    throw usageError(
      'The list of users has a * in it.',
      'Use * alone for any user, or only names.',
    );
  }
  return users === '*' ? users : users.join(',');
}

/** Says which settings it wrote. */
async function writeSettings(
  args: DeployArguments,
  deployed: Deployed,
  envFile: WritableSettings,
): Promise<void> {
  const { before, stack, users, isChanged } = deployed;
  const { values, path } = envFile;
  const oldKey = values.KEY_ID ?? '';
  const isSameList = (name: string, list: string, unset = ''): boolean =>
    splitList(values[name] ?? unset).join() === list;
  const regions = [
    ...new Set([...splitList(values.FALLBACK_REGIONS ?? ''), ...args.replicaRegions]),
  ];
  const changes = {
    ...removedCredentials(before, stack, values),
    ...deployed.settings,
    ...(isSameList('USERS', users, defaultUsers.join()) ? {} : { USERS: users }),
    ...(args.replicaRegions.length === 0 || isSameList('FALLBACK_REGIONS', regions.join())
      ? {}
      : { FALLBACK_REGIONS: regions.join() }),
  };
  const isWritten = await envFile.write(changes, {
    KEY_ID: {
      start: '# KEY_ID is alias/',
      rest: `${(stack.outputs.theKeyAlias ?? '').slice('alias/'.length)} of the stack ${stack.name}`,
    },
  });
  const names = (isThere: boolean): string =>
    Object.entries(changes)
      .flatMap(([name, value]) => ((typeof value === 'string') === isThere ? [name] : []))
      .join(', ');
  if (isWritten) say(`Wrote to ${path}: ${names(true)}.`);
  if (isWritten && names(false) !== '') say(`Removed from ${path}: ${names(false)}.`);
  if (!isWritten && !isChanged) say(`Nothing to do: ${path} is up to date, too.`);
  const hidden = overridden(changes, env);
  if (hidden.length > 0) {
    say(
      `The environment overrides ${hidden.join(', ')} in ${path}. Run: unset ${hidden.join(' ')}`,
    );
  }
  if (oldKey.startsWith('arn:') && oldKey !== stack.outputs.theKeyArn) {
    say(`KEY_ID was another key before: ${oldKey}`);
    say('Messages under it still need that key: see docs/aws.md, "Tearing down".');
  }
}

/** Groups have no export, hence no prefix. */
async function printOutputs(
  outputs: Readonly<Record<string, string>>,
  exportPrefix: string,
  asJson: boolean,
): Promise<void> {
  const lines = Object.entries(outputs).map(
    ([name, value]) => `${name.endsWith('GroupName') ? '' : exportPrefix}${name}=${value}\n`,
  );
  await standardOutput.write(asJson ? jsonLine(outputs) : streamOf(Buffer.from(lines.join(''))));
}

/** What to run from where the person is. */
function nextCommand(envFile: string | undefined): string {
  const quoted = (text: string): string => (/^[\w/.,:=@+~-]+$/.test(text) ? text : shellWord(text));
  const option = envFile === undefined ? '' : ` --env-file ${quoted(envFile)}`;
  if (cwd() === projectFolder()) return `npm run encrypt${option === '' ? '' : ` --${option}`}`;
  return quoted(join(projectFolder(), 'dist', 'kms-encrypt.js')) + option;
}
