import { isAbsolute } from 'node:path';

/**
 * A folder of the XDG base directories. Where the variable is empty, or relative, the specification
 * has it ignored: a key must not be made in whatever folder the command is called from.
 */
export const xdgFolder = (value: string | undefined, otherwise: string): string =>
  value !== undefined && isAbsolute(value) ? value : otherwise;
