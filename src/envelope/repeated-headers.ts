/**
 * Headers of many messages. Those that share a data key differ in the message's id and in its key
 * commitment alone, so the rest is parsed once: parsing takes a sixth of the time that a short message
 * needs.
 */
import { MessageIdLength } from '@aws-crypto/serialize';

import { asBuffer } from '../streams/byte-stream.ts';
import { type EnvelopeHeader, parseHeader } from './header.ts';
import { Recent } from './recent.ts';

/** Where a header of version 2 has its message's id. The commitment, 32 bytes too, is at its end. */
export const idStart = 3;
export const idEnd = idStart + MessageIdLength.V2;
export const commitmentBytes = 32;

/** Each takes about 3 KiB. */
const maxHeaders = 1000;
/** A header is looked for by its length: users whose names are equally long share one. */
const maxLengths = 8;

/** Whether it is of version 2, and `decryptWhole` can handle the message: all that we write. */
export const isPlainFramed = (header: EnvelopeHeader): boolean =>
  header.version === 2 &&
  header.committing &&
  header.contentType === 'framed' &&
  header.frameLength > 0;

/**
 * @param rawHeader of a header for which `isPlainFramed` holds, without its authentication tag
 * @returns all of it, as Latin-1, that is the same in each message that shares its data key
 */
export const sharedPart = (rawHeader: Uint8Array): string => {
  const header = asBuffer(rawHeader);
  const end = header.length - commitmentBytes;
  return header.toString('latin1', 0, idStart) + header.toString('latin1', idEnd, end);
};

/** @returns does as `parseHeader` does */
export const headerParser = (): ((message: Buffer) => EnvelopeHeader | undefined) => {
  const known = new Recent<EnvelopeHeader>(maxHeaders, () => undefined);
  const lengths = new Set<number>();

  return (message) => {
    for (const length of lengths) {
      const header = known.get(sharedPart(message.subarray(0, length)));
      if (header !== undefined && message.length >= header.headerLength) {
        return ofMessage(header, message);
      }
    }
    const header = parseHeader(message);
    if (header !== undefined && isPlainFramed(header)) {
      const { rawHeader } = header.info;
      if (lengths.size < maxLengths) lengths.add(rawHeader.length);
      // Parsed from a copy, or the whole message would be kept with it.
      const copy = lengths.has(rawHeader.length)
        ? parseHeader(Buffer.from(message.subarray(0, header.headerLength)))
        : undefined;
      if (copy !== undefined) known.set(sharedPart(rawHeader), copy, 1);
    }
    return header;
  };
};

/** @param header of another message that shares the data key */
const ofMessage = (header: EnvelopeHeader, message: Buffer): EnvelopeHeader => {
  const { info, headerLength } = header;
  const end = info.headerLength;
  const messageHeader = {
    ...info.messageHeader,
    messageId: message.subarray(idStart, idEnd),
    suiteData: message.subarray(end - commitmentBytes, end),
  };
  const headerAuth = { ...info.headerAuth, headerAuthTag: message.subarray(end, headerLength) };
  return {
    ...header,
    info: { ...info, messageHeader, headerAuth, rawHeader: message.subarray(0, end) },
  };
};
