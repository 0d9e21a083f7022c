/** Deletes the stack and those of its replicas. The keys stay. */
import { remove } from './apply.ts';
import { type Access, connect, enter } from './aws.ts';
import type { Wishes } from './deploy.ts';
import type { Dialogue } from './dialogue.ts';
import { columns } from './plan.ts';
import { existingReplicas } from './replicas.ts';
import { readIdleStack, readStack, requireOurs } from './stack.ts';

/**
 * @param envFile as it was given
 * @returns the ARN of the key that is kept; undefined if there is none, or nothing was done
 * @throws KmsPocError; Declined
 */
export async function teardown(
  access: Access,
  { stackName, region, adopt, dryRun, templates }: Wishes,
  dialogue: Dialogue,
  envFile: string,
): Promise<string | undefined> {
  const { say } = dialogue;
  const aws = await enter(access, region, dialogue);
  const stack = await readIdleStack(aws, stackName, say);
  say(`Stack    ${stackName} (${stack?.status ?? 'none'})`);
  if (stack === undefined) {
    say('There is no such stack: nothing to tear down.');
    return undefined;
  }
  if (!adopt) await requireOurs(aws, stack, templates.main);
  const { theKeyArn, theKeyAlias = '', EncryptorUserAccessKey } = stack.outputs;
  const replicas = await existingReplicas(aws, stack);
  if (theKeyArn !== undefined) {
    const hasUsers = EncryptorUserAccessKey !== undefined;
    say(`Kept: the key ${theKeyArn}`);
    for (const each of replicas) say(`Kept: its replica in ${each}`);
    say("  Messages can't be opened without it. It continues to be billed;");
    say('  aws kms schedule-key-deletion ends that, and every message with it.');
    say(
      `Lost: the alias ${theKeyAlias}, the groups${hasUsers ? ', both users and their access keys' : ''}.`,
    );
    if (hasUsers) say(`  The credentials in ${envFile} stop working; the file is left as it is.`);
    say('  A new stack gets a new key: note the ARN above for the messages there are.');
  }
  if (adopt) for (const line of columns(Object.entries(stack.parameters))) say(line);
  if (dryRun) return undefined;
  await dialogue.confirm(`Delete the stack ${stackName}?`);
  for (const each of replicas) {
    const there = await connect(access, each);
    const replica = await readStack(there, `${stackName}-replica`);
    if (replica === undefined) continue;
    if (!adopt) await requireOurs(there, replica, templates.replica);
    await remove(there, replica, dialogue);
  }
  await remove(aws, stack, dialogue);
  say(`The stack ${stackName} is deleted.`);
  return theKeyArn;
}
