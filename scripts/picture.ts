/** `npm run picture`: records docs/terminal.svg, the picture in README.md, from the built commands. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { terminalPicture } from '../test/support/picture.ts';

writeFileSync(join(import.meta.dirname, '..', 'docs', 'terminal.svg'), await terminalPicture());
