/**
 * Changed messages of every kind, through the functions that kms-decrypt uses and through AWS's
 * packages. What the packages refuse must be refused; what they open may be refused for a stricter
 * rule that has a name, or give the same plaintext. Each message is also a line of a batch.
 */
import { inspect } from 'node:util';

import { KmsPocError } from '../src/errors.ts';
import { type KeyReference, parseKeyReference } from '../src/keys/key-reference.ts';
import type { KeySources } from '../src/keys/key-sources.ts';
import { decrypt } from '../src/messages/decrypt.ts';
import { inPieces, type Outcome, outcomeOf } from '../test/support/bytes.ts';
import { testKeySources } from '../test/support/key-sources.ts';
import { type Case, changeNames, createCases } from './cases.ts';
import { decryptAsBatch, whyNoLine } from './batch.ts';
import { judge } from './judge.ts';
import { createLibrary } from './library.ts';
import { readOriginals } from './originals.ts';
import { inTime, type Part, runAll } from './part.ts';
import { createTally } from './report.ts';
import { wrappings } from './wrappings.ts';

/** Lines of a batch, which is for one set of keys. */
const batchLines = 200;

export const soakCiphertexts: Part = async ({ moto, keysFolder, seed, cases, concurrency }) => {
  const originals = readOriginals();
  const names = [...new Set(originals.map(({ name }) => name))];
  const tally = createTally(
    'Ciphertexts',
    ['message', 'change', 'wrapping'],
    [names, changeNames, Object.keys(wrappings)],
  );
  const batches = createTally(
    'Lines of a batch, with the outcome that they have alone',
    ['message'],
    [names],
  );
  const caseAt = createCases(originals, seed);
  const place = (key: string): string => key.replace(':test-keys', `:${keysFolder}`);
  const libraryFor = createLibrary(moto.endpoint);
  const openers = new Map<string, Promise<Opener>>();
  const openerFor = (keys: readonly string[], requireSigned: boolean): Promise<Opener> => {
    const name = [...keys, requireSigned].join();
    const opener = openers.get(name) ?? newOpener(keys.map(place), requireSigned);
    openers.set(name, opener);
    return opener;
  };
  const newOpener = async (keys: readonly string[], requireSigned: boolean): Promise<Opener> => ({
    keys: keys.map((key) => parseKeyReference(key, '--key')),
    sources: testKeySources({ endpoint: moto.endpoint }),
    library: await libraryFor(keys),
    requireSigned,
    waiting: [],
  });

  const find = (each: Case, what: string): void => {
    const { index, labels, user, input, original, requireSigned } = each;
    tally.find(labels, {
      name: `ciphertexts/${index}`,
      what,
      input: `${labels.join(' / ')}, user ${user}, keys ${original.keys.join()}, ${requireSigned ? 'signature required, ' : ''}input in base64: ${input.toString('base64')}`,
    });
  };
  const runBatch = async (opener: Opener): Promise<void> => {
    for (const { each, what } of await decryptAsBatch(opener, opener.waiting.splice(0))) {
      find(each, what);
    }
  };

  const runOne = async (index: number): Promise<void> => {
    const each = caseAt(index);
    const opener = await openerFor(each.original.keys, each.requireSigned);
    const ours = await inTime(openHere(opener, each)).catch((error: unknown): Outcome => ({
      output: Buffer.alloc(0),
      error,
    }));
    const message = each.bytes;
    const byLibrary =
      message === undefined
        ? undefined
        : await inTime(
            each.original.layout === undefined
              ? opener.library.decryptBlob(each.user, message)
              : opener.library.decryptMessage(each.user, message),
          ).catch(() => undefined);
    const verdict = judge(each, originals, ours, byLibrary);
    tally.count(each.labels, verdict.outcome);
    if (verdict.finding !== undefined) find(each, verdict.finding);
    const whyNot = whyNoLine({ each, ours });
    batches.count([each.original.name], whyNot === undefined ? 'run' : `left out (${whyNot})`);
    if (whyNot === undefined) opener.waiting.push({ each, ours });
    if (opener.waiting.length >= batchLines) await runBatch(opener);
  };

  await runAll(
    cases,
    Array.from({ length: concurrency * 4 }, () => runOne),
  );
  for (const opener of openers.values()) await runBatch(await opener);
  return [tally, batches];
};

export interface Done {
  readonly each: Case;
  readonly ours: Outcome;
}

export interface Opener {
  readonly keys: readonly KeyReference[];
  readonly sources: KeySources;
  readonly library: Awaited<ReturnType<ReturnType<typeof createLibrary>>>;
  readonly requireSigned: boolean;
  /** For the next batch. */
  readonly waiting: Done[];
}

async function openHere({ keys, sources }: Opener, each: Case): Promise<Outcome> {
  const { user, requireSigned, input, pieces } = each;
  try {
    const { plaintext } = await decrypt(
      { user, keys, sources, requireSigned, outputHeldUntilEnd: false },
      inPieces(input, pieces),
    );
    return await outcomeOf(plaintext);
  } catch (error) {
    return { output: Buffer.alloc(0), error };
  }
}

export const codeOf = ({ error }: Outcome): string =>
  error === undefined ? 'opened' : error instanceof KmsPocError ? error.code : inspect(error);
