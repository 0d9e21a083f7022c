/** Writes AWS Encryption SDK messages. */
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  MultiKeyringNode,
  NodeAlgorithmSuite,
  NodeDefaultCryptographicMaterialsManager,
  type NodeEncryptionMaterial,
  type NodeMaterialsManager,
} from '@aws-crypto/material-management-node';
import { byteReader, type ByteReader } from '../streams/byte-reader.ts';
import { defaultFrameLength, maxEncryptedDataKeys } from './limits.ts';
import { joinSmall, throughStream } from './through-stream.ts';
import type { WrappingKey } from './wrapping-key.ts';

interface EncryptMessageOptions {
  /** Where the data key comes from: `encryptionMaterials`. */
  materialsManager: NodeMaterialsManager;
  /** The message is for this user: its encryption context is `{ user }` and nothing else. */
  user: string;
  plaintext: AsyncIterable<Uint8Array>;
  /**
   * Whether to sign it, which proves that the writer could have a data key made. Without a signature
   * whoever may decrypt a message can write another one in its place, under the same data key.
   */
  sign?: boolean;
  /** Bytes of plaintext in a frame; for tests and benchmarks. */
  frameLength?: number;
}

/** AES-256-GCM with key commitment, with a signature (ECDSA on P-384) or without. */
export const suiteFor = (sign: boolean): NodeAlgorithmSuite =>
  new NodeAlgorithmSuite(
    sign
      ? AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
      : AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
  );

export const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
const { encryptStream } = buildEncrypt({ commitmentPolicy, maxEncryptedDataKeys });

/**
 * Creates data keys that each of the given wrapping keys can unwrap.
 *
 * @param keys at least one; the first creates the data key
 */
export const encryptionMaterials = (keys: readonly WrappingKey[]): NodeMaterialsManager => {
  const [first, ...others] = keys;
  if (first === undefined) throw new Error('no key to encrypt with');
  const keyring =
    others.length === 0
      ? first.keyring
      : new MultiKeyringNode({
          generator: first.keyring,
          children: others.map((key) => key.keyring),
        });
  return new NodeDefaultCryptographicMaterialsManager(keyring);
};

/**
 * Encrypts a stream as one message: version 2, AES-256-GCM with key commitment.
 *
 * @returns the ciphertext, in pieces of about a frame
 * @throws what the plaintext or a key throws, unchanged
 */
export async function* encryptMessage(options: EncryptMessageOptions): AsyncGenerator<Uint8Array> {
  const { materialsManager, user, plaintext, sign = false } = options;
  const { frameLength = defaultFrameLength } = options;
  const encryptionContext = { user };
  const reader = byteReader(plaintext);
  try {
    // This happens before the library starts: its streams would mix a key service's error with
    // their own.
    const suite = suiteFor(sign);
    const materials = await materialsManager.getEncryptionMaterials({
      suite,
      encryptionContext,
      commitmentPolicy,
    });
    const stream = encryptStream(onlyThese(materials), {
      suiteId: suite.id,
      encryptionContext,
      frameLength,
    });
    const frames = wholeFrames(reader, frameLength);
    yield* joinSmall(throughStream(frames, stream, asError));
  } finally {
    reader.close();
  }
}

/** Hands out the given materials. */
const onlyThese = (materials: NodeEncryptionMaterial): NodeMaterialsManager => ({
  getEncryptionMaterials: () => Promise.resolve(materials),
  decryptMaterials: () => Promise.reject(new Error('these materials only encrypt')),
});

/**
 * Splits the plaintext into pieces of one frame each. The library takes any pieces, but waits for a
 * turn of the event loop for each.
 */
async function* wholeFrames(reader: ByteReader, frameLength: number): AsyncGenerator<Buffer> {
  for (;;) {
    const frame = await reader.readExactly(frameLength);
    if (frame.length > 0) yield frame;
    if (frame.length < frameLength) return;
  }
}

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));
