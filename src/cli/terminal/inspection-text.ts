/** The description of a ciphertext, as text for people. */
import type { Inspection } from '../../messages/inspect.ts';
import type { MessageInspection } from '../../envelope/inspect.ts';
import { maxUnverifiedBytes, mebibyte } from '../../envelope/limits.ts';
import { keyTitle } from '../../envelope/key-names.ts';
import { visibleJson } from './visible-text.ts';
import { wrap } from './wrap.ts';

interface Row {
  readonly label: string;
  /** Each entry starts a new line. */
  readonly entries: readonly string[];
}

/** @param columns the width to keep to, if the words are short enough */
export function inspectionText(inspection: Inspection, columns: number): string {
  const { rows, remarks } =
    inspection.format === 'kms' ? describeBlob(inspection.bytes) : describeMessage(inspection);
  // The last column stays free: terminals differ in where the cursor goes from there.
  const width = Math.max(columns - 1, 20);
  const lines = [
    ...rows.flatMap((row) => layOutRow(row, width)),
    ...remarks.flatMap((remark) => ['', ...wrap(remark, width)]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

interface Description {
  readonly rows: readonly Row[];
  readonly remarks: readonly string[];
}

const describeBlob = (bytes: number): Description => ({
  rows: [
    { label: 'format', entries: ['AWS KMS blob (presumably)'] },
    { label: 'ciphertext', entries: [counted(bytes, 'byte')] },
  ],
  remarks: [
    'It is not an AWS Encryption SDK message, so it is assumed to be an AWS KMS blob. AWS does not publish that format: only KMS can tell whether it is one, and which key and user it belongs to.',
  ],
});

/** A header has room for thousands, which would bury the rest. */
const maxContextEntries = 16;

function describeMessage(message: MessageInspection): Description {
  const { algorithm, keys, frames, plaintextBytes, bytes, headerBytes } = message;
  const plaintext = counted(plaintextBytes, 'byte');
  return {
    rows: [
      { label: 'format', entries: [`AWS Encryption SDK message, version ${message.version}`] },
      {
        label: 'algorithm',
        entries: [
          algorithm.name,
          `${algorithm.cipher}, suite ${algorithm.id}`,
          algorithm.keyCommitment
            ? 'with key commitment: no other data key opens it'
            : 'without key commitment: a different data key could open it as a different message',
          algorithm.signed
            ? "signed: someone who can only decrypt can't have written it"
            : 'not signed: anyone who can decrypt it could have written it',
        ],
      },
      {
        label: 'context',
        entries: shownContext(Object.entries(message.encryptionContext)),
      },
      {
        label: 'opens with',
        entries: keys.map(({ providerId, name }) =>
          keyTitle({ providerId, keyName: name }, shownName),
        ),
      },
      {
        label: 'plaintext',
        entries: [
          message.framed
            ? `${plaintext}, in ${counted(frames, 'frame')} of at most ${grouped(message.frameLength)}`
            : `${plaintext}, without frames`,
        ],
      },
      {
        label: 'ciphertext',
        entries: [`${counted(bytes, 'byte')}, ${grouped(headerBytes)} of them header`],
      },
    ],
    remarks: [
      ...message.refusals.map(({ message: refusal }) => `kms-decrypt refuses it: ${refusal}`),
      ...(algorithm.signed && plaintextBytes > maxUnverifiedBytes && message.refusals.length === 0
        ? [
            `Signed and longer than ${maxUnverifiedBytes / mebibyte} MiB: kms-decrypt needs --out for it.`,
          ]
        : []),
      'This is what the message says about itself. Only decrypting it verifies that.',
    ],
  };
}

function shownContext(context: readonly (readonly [string, string])[]): string[] {
  if (context.length === 0) return ['empty'];
  const shown = context
    .slice(0, maxContextEntries)
    .map(([name, value]) => `${shownName(name)} = ${shownName(value)}`);
  const more = context.length - shown.length;
  return more > 0 ? [...shown, `and ${grouped(more)} more: see --json`] : shown;
}

/**
 * A name from a header can contain anything. One that could pass for more than a name, even if it
 * only contains a space, is put in quotes, with special characters escaped as in JSON. Of a long
 * one, only the beginning is shown.
 */
function shownName(name: string): string {
  const shown = name.slice(0, 128);
  const quoted = /^[\x21\x23-\x7e]+$/.test(shown) ? shown : visibleJson(JSON.stringify(shown));
  return shown === name ? quoted : `${quoted}… (${grouped(name.length)} characters)`;
}

const grouped = (count: number): string => count.toLocaleString('en-US');

const counted = (count: number, what: string): string =>
  `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;

const labelColumns = 12;
const indent = '  ';

/** Puts the entries beside the label, or below it if one of their words is too long for that. */
function layOutRow({ label, entries }: Row, width: number): string[] {
  const beside = layOut(entries, width - labelColumns);
  if (beside.every((line) => line.length <= width - labelColumns)) {
    return beside.map((line, index) => (index === 0 ? label : '').padEnd(labelColumns) + line);
  }
  return [label, ...layOut(entries, width - indent.length).map((line) => indent + line)];
}

const layOut = (entries: readonly string[], width: number): string[] =>
  // An ARN stays in one piece, so that it can be copied; the name of a suite can be broken.
  entries.flatMap((entry) =>
    wrap(entry, width, { split: (word) => word.split(/(?<=_)/), hanging: indent }),
  );
