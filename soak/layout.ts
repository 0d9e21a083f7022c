/**
 * Where the parts of an AWS Encryption SDK message are, for changes that know its structure. For
 * sound messages only, and independent of the reader that is tested.
 * Format: https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html
 */

/** A range of bytes, the end not included. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Field extends Range {
  readonly name: string;
}

export interface Layout {
  /** Of the header and of each frame, in order. */
  readonly fields: readonly Field[];
  /** Those of the fields that are a length or a number of things. */
  readonly numbers: readonly Field[];
  /** From the number of its pairs on, without the length of all. */
  readonly context: Range;
  /** Without their number, which is in the two bytes before. */
  readonly dataKeys: readonly Range[];
  /** One for a message without frames. */
  readonly frames: readonly Range[];
  /** With its length; empty if there is none. */
  readonly signature: Range;
}

const signingSuites = [0x0578, 0x0378, 0x0346, 0x0214];
const ivLength = 12;
const tagLength = 16;

export function layoutOf(message: Buffer): Layout {
  const fields: Field[] = [];
  let position = 0;
  const take = (name: string, length: number): Field => {
    const field = { name, start: position, end: position + length };
    fields.push(field);
    position += length;
    return field;
  };
  const takeNumber = (name: string, length: number): number => {
    const { start } = take(name, length);
    return message.readUIntBE(start + Math.max(0, length - 6), Math.min(6, length));
  };
  const takeSized = (name: string): void => {
    const length = takeNumber(`${name}: length`, 2);
    take(name, length);
  };

  const version = takeNumber('version', 1);
  if (version === 1) take('type', 1);
  const suite = takeNumber('suite', 2);
  take('message id', version === 1 ? 16 : 32);
  const contextLength = takeNumber('context: length', 2);
  const context = { start: position, end: position + contextLength };
  if (contextLength > 0) {
    const pairs = takeNumber('context: number', 2);
    for (let pair = 0; pair < pairs; pair++) {
      takeSized('context name');
      takeSized('context value');
    }
  }
  const dataKeys: Range[] = [];
  const count = takeNumber('data keys: number', 2);
  for (let index = 0; index < count; index++) {
    const start = position;
    takeSized('provider id');
    takeSized('provider info');
    takeSized('encrypted data key');
    dataKeys.push({ start, end: position });
  }
  const isFramed = takeNumber('content type', 1) === 2;
  if (version === 1) {
    take('reserved', 4);
    take('IV: length', 1);
  }
  const frameLength = takeNumber('frame: length', 4);
  if (version === 1) take('header IV', ivLength);
  else take('commitment', 32);
  take('header tag', tagLength);

  const frames: Range[] = [];
  for (let isFinal = false; !isFinal;) {
    const start = position;
    isFinal = !isFramed || message.readUInt32BE(position) === 0xffffffff;
    if (isFramed && isFinal) take('end mark', 4);
    if (isFramed) take('frame: number', 4);
    take('IV', ivLength);
    const length = isFinal ? takeNumber('content: length', isFramed ? 4 : 8) : frameLength;
    take('content', length);
    take('tag', tagLength);
    frames.push({ start, end: position });
  }
  const signatureStart = position;
  if (signingSuites.includes(suite)) takeSized('signature');
  if (position !== message.length) throw new Error('this is no sound message');
  return {
    fields,
    numbers: fields.filter(({ name }) => name.includes(':')),
    context,
    dataKeys,
    frames,
    signature: { start: signatureStart, end: position },
  };
}
