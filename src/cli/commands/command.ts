/** What one run of a command does. */
import type { ExitStatus } from '../../errors.ts';
import type { Arguments } from '../arguments.ts';
import type { Notices } from '../terminal/notices.ts';

/** @throws KmsPocError; anything else that it throws is a bug */
export type Command = (args: Arguments, notices: Notices) => Promise<ExitStatus>;
