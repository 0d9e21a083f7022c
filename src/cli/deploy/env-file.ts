/** The settings file, opened to be written at the end of a deployment. */
import { systemCode, usageError } from '../../errors.ts';
import { expandFileName } from '../../formats/file-name.ts';
import { toUtf8 } from '../../formats/text.ts';
import { streamOf } from '../../streams/byte-stream.ts';
import { readSmallFile } from '../../streams/small-file.ts';
import { openOutput } from '../payload/output.ts';
import { type Comments, editSettings } from '../settings-text.ts';
import type { SettingsFile } from '../setting.ts';

export interface WritableSettings {
  /** As it was given. */
  readonly path: string;
  /** What was in it. */
  readonly values: Readonly<Record<string, string>>;
  /**
   * Writes it all or not at all, with mode 0600.
   *
   * @returns false if it was as it should be
   * @throws KmsPocError
   */
  readonly write: (
    changes: Readonly<Record<string, string | undefined>>,
    comments: Comments,
  ) => Promise<boolean>;
}

/**
 * Finds what would prevent the writing, before AWS is asked for anything: in the end, new credentials
 * would have nowhere to go.
 *
 * @param file as it was read
 * @throws KmsPocError Usage
 */
export async function openSettingsFile(
  given: string | undefined,
  file: SettingsFile | undefined,
): Promise<WritableSettings> {
  const path = given === undefined ? '.env' : expandFileName(given, '--env-file');
  const output = await openOutput(path, noInput, { mayBeInput: false, option: '--env-file' });
  if (!output.isHeldUntilEnd) {
    throw usageError(`${path} is not a regular file.`, 'Settings are written to a regular file.');
  }
  const probe = { KEY_ID: 'x', ENCRYPTOR_AWS_ACCESS_KEY_ID: 'x', DECRYPTOR_AWS_ACCESS_KEY_ID: 'x' };
  editSettings(path, (await readText(path)).text, probe);
  return {
    path,
    values: file?.values ?? {},
    write: async (changes, comments) => {
      // Read again: somebody may have changed it while the stack was made.
      const { mark, text, mode } = await readText(path);
      const edited = editSettings(path, text, changes, comments);
      if (edited === text && mode === 0o600) return false;
      await output.write(streamOf(Buffer.from(mark + edited)));
      return true;
    },
  };
}

const noInput: Parameters<typeof openOutput>[1] = {
  file: undefined,
  sizeBytes: undefined,
  read: () => Promise.reject(new Error('not read')),
};

/** @returns its text, with the byte order mark before it apart; nothing if there is no file yet */
async function readText(path: string): Promise<{ mark: string; text: string; mode: number }> {
  try {
    const { bytes, stat: file } = await readSmallFile(path);
    const text = toUtf8(bytes);
    if (text === undefined) throw usageError(`${path} is not text in UTF-8.`, 'Save it as UTF-8.');
    return {
      mark: text.length < bytes.length ? '\ufeff' : '',
      text: text.toString('utf8'),
      mode: file.mode & 0o777,
    };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { mark: '', text: '', mode: 0 };
    throw error;
  }
}
