/** What --json prints: one object on one line. */
import { type ByteStream, streamOfPieces } from '../../streams/byte-stream.ts';
import { visibleJson } from '../terminal/visible-text.ts';

/**
 * @param object values, or their JSON in pieces: see json-text.ts
 * @returns one line, in which nothing controls a terminal: JSON's own escapes leave some of that in
 */
export const jsonLine = (object: object): ByteStream => streamOfPieces(piecesOf(object));

function* piecesOf(object: object): Generator<Buffer> {
  let before = '{';
  for (const [name, value] of Object.entries(object) as [string, unknown][]) {
    const isInPieces = typeof value === 'object' && value !== null && 'next' in value;
    const pieces = isInPieces ? (value as Generator<string>) : [JSON.stringify(value)];
    yield Buffer.from(`${before}${JSON.stringify(name)}:`);
    for (const piece of pieces) yield Buffer.from(visibleJson(piece));
    before = ',';
  }
  yield Buffer.from('}\n');
}
