import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KmsPocError } from '../../src/errors.ts';
import { decodeCiphertext } from '../../src/messages/pasted-ciphertext.ts';
import { collectAll, streamOf } from '../../src/streams/byte-stream.ts';
import { anyLengths, inPieces } from '../support/bytes.ts';
import { checkLine } from '../support/failure.ts';

/** Begins like every AWS Encryption SDK message: with bytes that text never has. */
const binary = Buffer.concat([Buffer.from([0x02, 0x04, 0x78]), randomBytes(97)]);
const base64 = binary.toString('base64');

async function decode(
  input: string | Uint8Array,
  lengths: readonly number[] = [],
): Promise<Buffer> {
  const { bytes } = await decodeCiphertext(inPieces(Buffer.from(input), lengths));
  return Buffer.from(await collectAll(bytes));
}

async function refusal(
  input: string | Uint8Array,
  lengths: readonly number[] = [],
): Promise<KmsPocError> {
  const error = await decode(input, lengths).then(
    (bytes) => assert.fail(`it gave ${bytes.toString('hex')}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KmsPocError, String(error));
  assert.deepEqual([error.code, error.status], ['NotCiphertext', 3]);
  checkLine(error.message);
  assert.equal(error.hint, 'Copy all of it, exactly as kms-encrypt printed it.');
  return error;
}

describe('decoding', () => {
  test('gives back what was encoded, however it is split', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), anyLengths, async (bytes, lengths) => {
        const text = Buffer.from(bytes).toString('base64');
        assert.ok((await decode(text, lengths)).equals(bytes));
      }),
    );
  });

  const wrapped = (width: number, lineBreak: string): string =>
    (base64.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join(lineBreak) + lineBreak;
  const pasted: Record<string, string> = {
    'with a line break at the end': `${base64}\n`,
    'in lines of 76 (MIME, openssl)': wrapped(76, '\n'),
    'in lines of 64, of Windows': wrapped(64, '\r\n'),
    'in lines of 7': wrapped(7, '\n'),
    'indented, with tabs': `\t${wrapped(20, '\n\t  ')}`,
    'with spaces around and inside': `  ${wrapped(10, '  ')}  `,
    'with many line breaks before it': `${'\n'.repeat(600)}${base64}`,
    'in double quotes': `"${base64}"`,
    'in single quotes': `'${base64}'`,
    'in backticks': `\`${base64}\``,
    'with the letters for URLs': base64.replaceAll('+', '-').replaceAll('/', '_'),
    'without padding': base64.replace(/=+$/, ''),
    'with the letters for URLs and without padding': binary.toString('base64url'),
    'with a byte order mark': `\ufeff${base64}`,
    'as aws kms encrypt prints it': JSON.stringify(
      {
        CiphertextBlob: base64,
        KeyId: 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      },
      undefined,
      4,
    ),
    'as kms-encrypt --json prints it': `${JSON.stringify({ user: 'ä', ciphertext: base64, key: 'k', format: 'kms' })}\n`,
    'as JSON with a byte order mark and space before it': `\ufeff \r\n\t{"ciphertext":"${base64}"}`,
    'as JSON after many line breaks': `${'\n'.repeat(100)}{"ciphertext":"${base64}"}`,
    'after our label, as copied from the terminal': `Your encrypted message:\n${base64}\n`,
    'after the lines that npm prints': `\n> kms-poc@1.0.0 encrypt\n> dist/kms-encrypt.js -u alice\n\n${base64}\n`,
    'after these and our label': `\n> kms-poc@1.0.0 encrypt\n> dist/kms-encrypt.js\n\nYour encrypted message:\n${base64}\n`,
    'after those of an npm script of Windows, with a byte order mark': `\ufeff\r\n> kms-poc@1.0.0 encrypt\r\n> dist/kms-encrypt.js\r\n\r\n${base64}\r\n`,
    'quoted by a mail program': `> ${wrapped(70, '\n> ')}\n`,
    'quoted twice, with our label': `>> Your encrypted message:\n>> ${wrapped(70, '\n>> ')}`,
    'quoted, with the first line behind our label': `> Your encrypted message: ${wrapped(76, '\n> ')}`,
    'as Python shows bytes': `b'${base64}'`,
    'as Python shows bytes, in double quotes': ` b"${base64}"\n`,
    'in base64, as in a Kubernetes secret': Buffer.from(`${base64}\n`).toString('base64'),
    'after npm’s lines, as JSON': `\n> kms-poc@1.0.0 encrypt\n> dist/kms-encrypt.js --json\n\n{"ciphertext":"${base64}"}`,
    'as JSON of which the text is wrapped': JSON.stringify({ CiphertextBlob: wrapped(76, '\n') }),
  };
  for (const [name, text] of Object.entries(pasted)) {
    test(name, async () => {
      for (const lengths of [[], [1], [1, 0, 600], [513]]) {
        assert.ok((await decode(text, lengths)).equals(binary), `cut by ${lengths.join()}`);
      }
    });
  }

  test('what it is does not depend on how much of it comes at once', async () => {
    const inner = Buffer.from(randomBytes(600).toString('base64'));
    inner.fill(0x8d, 600, 700);
    for (const lengths of [[], [1], [100], [700]]) {
      const { message } = await refusal(inner.toString('base64'), lengths);
      assert.match(message, /unexpected byte 0x8d after 600 characters of base64/);
    }
  });
  test('a text with bytes that are none is still a text', async () => {
    for (const byte of [0, 0x1b, 0x8d, 0xfc]) {
      const damaged = Buffer.from(base64);
      damaged[50] = byte;
      const name = byte.toString(16).padStart(2, '0');
      assert.match(
        (await refusal(damaged)).message,
        new RegExp(`unexpected byte 0x${name} after 50`),
      );
    }
  });
  test('bytes stay bytes', async () => {
    for (const lengths of [[], [1]]) {
      assert.ok((await decode(binary, lengths)).equals(binary));
      const { cameAsBytes } = await decodeCiphertext(inPieces(binary, lengths));
      assert.equal(cameAsBytes, true);
    }
    // Bytes that look like a byte order mark or like JSON don't make it text.
    for (const start of ['efbbbf0204', '7b0002', '2277ff00', '0a02ff']) {
      const bytes = Buffer.concat([Buffer.from(start, 'hex'), binary]);
      assert.ok((await decode(bytes)).equals(bytes));
    }
  });

  test('nothing, even with pasted spaces and quotes, is nothing', async () => {
    for (const text of ['', ' ', '\n\r\n\t', '""', '\ufeff', `{"ciphertext":""}`]) {
      assert.equal((await decode(text)).length, 0, JSON.stringify(text));
    }
  });
});

describe('what is not a ciphertext', () => {
  test('a batch is recognized, and the error says what reads it', async () => {
    const batch = Buffer.from(`{"ciphertext":"${base64}"}\n{"ciphertext":"${base64}"}\n`);
    await assert.rejects(decodeCiphertext(streamOf(batch)), {
      message: 'This is a batch, with one message per line.',
      hint: 'Use --batch. (--inspect takes one message.)',
    });
  });

  test('UTF-16, as PowerShell writes it, is recognized', async () => {
    for (const bytes of [
      Buffer.from(`\ufeff${base64}`, 'utf16le'),
      Buffer.from(`\ufeff${base64}`, 'utf16le').swap16(),
    ]) {
      await assert.rejects(decodeCiphertext(streamOf(bytes)), {
        code: 'NotCiphertext',
        message: 'This is text in UTF-16, not an encrypted message.',
      });
    }
  });

  test('a Buffer as JSON and hexadecimal are named', async () => {
    const buffer = JSON.stringify(binary);
    for (const text of [buffer, `{"ciphertext":${buffer}}`, ` { "CiphertextBlob": ${buffer} }`]) {
      await assert.rejects(decode(text), {
        code: 'NotCiphertext',
        message: 'This is a Buffer of Node.js as JSON, not an encrypted message.',
      });
    }
    const hex = binary.toString('hex');
    for (const text of [hex, hex.toUpperCase(), `0x${hex}\n`, hex.replace(/.{32}/g, '$&\n')]) {
      await assert.rejects(decode(text), {
        code: 'NotCiphertext',
        message: 'This is hexadecimal, and an encrypted message is base64 or bytes.',
      });
    }
  });

  /** As many letters as the shortest ciphertext has. */
  const long = 'QUJD'.repeat(20);
  const wrong: [string, string | Uint8Array, string][] = [
    [
      'a sentence, quoted',
      '> this is a secret.',
      'This is not an encrypted message: unexpected . after 13 characters of base64.',
    ],
    [
      'a sign in the middle of a line',
      `${base64.slice(0, 50)}>${base64.slice(50)}`,
      'This is not an encrypted message: unexpected > after 50 characters of base64.',
    ],
    [
      'a sentence',
      'this is a secret.',
      'This is not an encrypted message: unexpected . after 13 characters of base64.',
    ],
    [
      'a sign in the middle',
      `${base64.slice(0, 50)}!${base64.slice(50)}`,
      'This is not an encrypted message: unexpected ! after 50 characters of base64.',
    ],
    [
      'a curly quote',
      `“${base64}”`,
      'This is not an encrypted message: unexpected byte 0xe2 after 0 characters of base64.',
    ],
    [
      'an ellipsis, as some programs cut',
      `${base64.slice(0, 40)}…`,
      'This is not an encrypted message: unexpected byte 0xe2 after 40 characters of base64.',
    ],
    [
      'an armour around it',
      `-----BEGIN MESSAGE-----\n${base64}\n-----END MESSAGE-----\n`,
      'This is not an encrypted message: there is more base64 after the closing =.',
    ],
    [
      'letters after the padding',
      'QUJDRA==QUJD',
      'This is not an encrypted message: there is more base64 after the closing =.',
    ],
    [
      'padding in the middle',
      'QU=JD',
      'This is not an encrypted message: there is more base64 after the closing =.',
    ],
    [
      'too much padding',
      `${long}QUJD=`,
      `This message is incomplete: its base64 ends early, after ${long.length + 5}`,
    ],
    [
      'too little padding',
      `${long}QQ=`,
      `This message is incomplete: its base64 ends early, after ${long.length + 3}`,
    ],
    [
      'one letter too many',
      `${long}QUJDR`,
      `This message is incomplete: its base64 ends early, after ${long.length + 5}`,
    ],
    [
      'padding alone',
      '==',
      'This is too short to be an encrypted message: 2 characters of base64.',
    ],
    [
      'words',
      'hello world',
      'This is too short to be an encrypted message: 10 characters of base64.',
    ],
    [
      'a last letter with bits of a letter that is gone',
      `${long}QUJDRR==`,
      `This message is incomplete: its base64 ends early, after ${long.length + 8} characters.`,
    ],
    [
      'the same without padding',
      `${long}QUJDRR`,
      'This message is incomplete: its base64 ends early',
    ],
    ['the same with one', `${long}QUJDRUZ=`, 'This message is incomplete: its base64 ends early'],
    [
      'half a JSON',
      `{"CiphertextBlob": "${base64}",\n  "Ke`,
      'This is not an encrypted message: it starts like JSON but is not valid JSON.',
    ],
    [
      'other JSON',
      '{"user":"alice","message":"this is a secret"}',
      'This is not an encrypted message: it is JSON without a CiphertextBlob or ciphertext field.',
    ],
    [
      'JSON of another kind in the field',
      '{"ciphertext":{"a":1}}',
      'This is not an encrypted message: it is JSON without a CiphertextBlob or ciphertext field.',
    ],
    [
      'JSON with a field of its prototype only',
      '{"__proto__":{"ciphertext":"QUJD"}}',
      'This is not an encrypted message: it is JSON without a CiphertextBlob or ciphertext field.',
    ],
    [
      'JSON with something else in the field',
      '{"ciphertext":"this is a secret."}',
      'This is not an encrypted message: unexpected . after 13 characters of base64.',
    ],
  ];
  for (const [name, input, message] of wrong) {
    test(name, async () => {
      for (const lengths of [[], [1], [4], [5, 0]]) {
        const error = await refusal(input, lengths);
        assert.ok(error.message.startsWith(message), error.message);
      }
    });
  }

  test('a text cut anywhere is refused, or is that much of the bytes', async () => {
    const text = randomBytes(90).toString('base64');
    for (let length = 1; length < text.length; length++) {
      const cut = text.slice(0, length);
      // From base64 alone, only some cuts can be told; the rest are for the cryptography to find.
      const isWhole =
        Buffer.from(cut, 'base64').toString('base64').replace(/=+$/, '') === cut.replace(/=+$/, '');
      if (isWhole && length % 4 !== 1) {
        assert.ok((await decode(cut)).equals(Buffer.from(cut, 'base64')));
      } else {
        const { message } = await refusal(cut);
        assert.equal(
          message,
          length < 80
            ? `This is too short to be an encrypted message: ${length} characters of base64.`
            : `This message is incomplete: its base64 ends early, after ${length} characters.`,
        );
      }
    }
  });

  test('it only decodes what can be base64, however it is split', async () => {
    const anyText = fc.string({ unit: fc.constantFrom(...Array.from('AQgw019+/-_= \n"\'.ä😀{}')) });
    await fc.assert(
      fc.asyncProperty(anyText, anyLengths, async (text, lengths) => {
        const outcome = async (cut: readonly number[]): Promise<string> =>
          decode(text, cut).then(
            (bytes) => bytes.toString('hex'),
            (error: unknown) => {
              assert.ok(error instanceof KmsPocError);
              return error.message;
            },
          );
        const whole = await outcome([]);
        assert.equal(await outcome(lengths), whole);
        const letters = text
          .replace(/[\s"']/g, '')
          .replace(/-/g, '+')
          .replace(/_/g, '/');
        if (/^[\da-f]*$/.test(whole)) {
          assert.equal(
            letters.replace(/=+$/, ''),
            Buffer.from(whole, 'hex').toString('base64').replace(/=+$/, ''),
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});
