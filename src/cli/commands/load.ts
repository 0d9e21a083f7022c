/** Loads the file that implements what a run does, and no other. */
import type { Arguments } from '../arguments.ts';
import type { CommandName } from '../options.ts';
import type { Command } from './command.ts';

type Mode = 'message' | 'batch' | 'inspect';

const commands: Record<CommandName, Partial<Record<Mode, () => Promise<Command>>>> = {
  'kms-encrypt': {
    message: async () => (await import('./encrypt.ts')).encryptCommand,
    batch: async () => (await import('./batch.ts')).encryptBatchCommand,
  },
  'kms-decrypt': {
    message: async () => (await import('./decrypt.ts')).decryptCommand,
    batch: async () => (await import('./batch.ts')).decryptBatchCommand,
    inspect: async () => (await import('./inspect.ts')).inspectCommand,
  },
  'kms-reencrypt': {
    message: async () => (await import('./reencrypt.ts')).reencryptCommand,
    batch: async () => (await import('./batch.ts')).reencryptBatchCommand,
  },
  'kms-doctor': {
    message: async () => (await import('./doctor.ts')).doctorCommand,
  },
  'kms-deploy': {
    message: async () => (await import('./deploy.ts')).deployCommand,
  },
};

export function loadCommand(name: CommandName, { inspect, batch }: Arguments): Promise<Command> {
  const mode = inspect ? 'inspect' : batch ? 'batch' : 'message';
  const load = commands[name][mode];
  if (load === undefined) throw new Error(`${name} has no mode ${mode}`);
  return load();
}
