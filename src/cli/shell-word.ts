/** @returns a text as one word of a shell's command line, whatever is in it */
export const shellWord = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
