/**
 * Text that can't control the terminal it is shown in. A decrypted or pasted message is someone
 * else's text: written as it is, an ESC in it could recolour the screen, change the window's title
 * or make the terminal type an answer into the shell, and a CR could overwrite what is on the line.
 */

// C0 except newline and tab, DEL, C1 (U+009B alone starts an escape sequence in many terminals),
// and the bidirectional embeddings, overrides and isolates, which make text read in a different
// order than it is stored. Zero-width characters and the marks U+200E and U+200F are kept: emoji
// and right-to-left scripts need them, and they don't move anything.
const unsafe = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/**
 * @returns the text with anything that could control a terminal, or reorder what is shown, written
 *   as `\x1b` or `\u202e`: plain ASCII, for terminals that have no other letters; newline and tab
 *   are kept
 */
export function visibleText(text: string): string {
  return text.replace(unsafe, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length > 2 ? `\\u${hex}` : `\\x${hex.padStart(2, '0')}`;
  });
}

/** The same on one line: a file's name or a service's text can't begin a line of its own. */
export const visibleLine = (text: string): string =>
  visibleText(text).replace(/[\n\t]/g, (character) => (character === '\n' ? '\\n' : '\\t'));

/**
 * The same for JSON, whose value doesn't change: unsafe characters can only occur in its strings,
 * where an escape means the character.
 *
 * @param json lines of JSON; the line breaks between them are kept
 */
export function visibleJson(json: string): string {
  return json.replace(
    unsafe,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
