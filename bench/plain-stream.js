// The floor for a stream: `encrypt FILE` and `decrypt FILE` with node:crypto alone, using the
// same cipher with no header, frames or wrapped keys. `encrypt` puts the tag in FILE.encrypted.tag,
// `decrypt` reads it from FILE.tag.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { pipeline } from 'node:stream/promises';

const [what, file] = argv.slice(2);
const key = Buffer.alloc(32, 7);
const iv = Buffer.alloc(12);
const cipher =
  what === 'encrypt'
    ? createCipheriv('aes-256-gcm', key, iv)
    : createDecipheriv('aes-256-gcm', key, iv).setAuthTag(readFileSync(`${file}.tag`));
await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), cipher, stdout);
if (what === 'encrypt') writeFileSync(`${file}.encrypted.tag`, cipher.getAuthTag());
exit();
