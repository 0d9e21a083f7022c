/**
 * Where dotenv finds a setting in a text: 1 its name, 2 what follows the name, 3 its value with any
 * quotes, 4 the space before a comment, 5 the comment. Only the place is taken from here; what a text
 * means is up to dotenv.
 */
export const settingsEntry =
  /^\s*(?:export\s+)?([\w.-]+)(\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?(\s*)(#.*)?$/gm;
