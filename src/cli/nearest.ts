/** Of many names, the one that somebody may have meant. */
import { distance } from 'fastest-levenshtein';

/**
 * @param lettersForOne of how many letters one may be wrong; two at most
 * @returns the name that is written almost like this one, or begins or goes on like it
 */
export function nearest(
  given: string,
  names: readonly string[],
  lettersForOne: number,
): string | undefined {
  const letters = lettersOf(given);
  if (letters.length < 2) return undefined;
  return names
    .map((name) => ({ name, far: farness(letters, lettersOf(name)) }))
    .filter(({ name, far }) => far <= Math.min(2, lettersOf(name).length / lettersForOne))
    .sort((a, b) => a.far - b.far)[0]?.name;
}

const lettersOf = (text: string): string => text.replace(/[-_]/g, '').toLowerCase();

const sorted = (text: string): string => Array.from(text).sort().join('');

function farness(given: string, name: string): number {
  if (sorted(given) === sorted(name)) return 0.25; // letters or words have changed places
  const goesOn = given.startsWith(name) || name.startsWith(given);
  return goesOn ? 0.5 : distance(given, name);
}
