/** The picture of a first run for README.md: recorded from the built commands, drawn as an SVG. */
import xterm from '@xterm/headless';
import { mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { commandLine, temporaryFolder } from './command.ts';
import { startOnTerminal } from './pseudo-terminal.ts';

const columns = 80;
const rows = 24;
const enter = '\r';
const message = 'this is a secret';

/** In pixels. Common monospace fonts are 0.6 em wide, or a little less. */
const fontSize = 14;
const columnWidth = 8.5;
const lineHeight = 20;
const padding = 16;

/** Styles for light and dark pages: `bold`, and a class for each of the terminal's colours. */
const css = `
rect { fill: #f6f8fa; stroke: #d1d9e0 }
text { fill: #1f2328; font: ${fontSize}px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace }
.bold { font-weight: bold }
.colour-2 { fill: #116329 }
.colour-8 { fill: #59636e }
@media (prefers-color-scheme: dark) {
rect { fill: #151b23; stroke: #3d444d }
text { fill: #f0f6fc }
.colour-2 { fill: #56d364 }
.colour-8 { fill: #9198a1 }
}`;

/**
 * Encrypts and decrypts a message in a shell on a pseudo-terminal, with a new local key.
 *
 * @returns the SVG. Only the ciphertext differs from run to run.
 * @throws if a command doesn't say what it should, the screen is too long, or a colour has no style
 */
export async function terminalPicture(): Promise<string> {
  return svg(await drawn(await recorded()));
}

/**
 * Returns what the shell wrote, with one change: the temporary folder of the key has the name that
 * alice would see on Linux, so that lines wrap the same everywhere.
 */
async function recorded(): Promise<string> {
  const home = temporaryFolder();
  const programs = join(home, 'programs');
  mkdirSync(programs);
  for (const name of ['kms-encrypt', 'kms-decrypt']) {
    symlinkSync(commandLine(name, []).file, join(programs, name));
  }
  const env = {
    PATH: [programs, process.env.PATH].join(delimiter),
    PS1: '$ ',
    BASH_SILENCE_DEPRECATION_WARNING: '1', // macOS, where sh is an old bash
  };
  const shell = startOnTerminal('sh', [], { home, env, columns, rows });
  const walk = async (command: string, question: string, answer: string): Promise<void> => {
    await shell.waitFor('$ ');
    shell.write(command + enter);
    await shell.waitFor('bob');
    shell.write(enter); // alice is chosen already
    await shell.waitFor(question);
    shell.write(answer + enter);
  };
  await walk('kms-encrypt', 'message to encrypt: ', message);
  await shell.waitFor('Your encrypted message:');
  const ciphertext = (await shell.waitFor(/[A-Za-z0-9+/]{100,}=*\r\n/)).trimEnd();
  await walk('kms-decrypt', 'message to decrypt: ', `\x1b[200~${ciphertext}\x1b[201~`);
  await shell.waitFor(`Your decrypted message: ${message}`);
  await shell.waitFor('$ ');
  const output = shell.output();
  shell.write(`exit${enter}`);
  await shell.exit();
  return [join(home, 'data'), join(home, 'Library', 'Application Support')].reduce(
    (text, folder) => text.replaceAll(folder, '/home/alice/.local/share'),
    output,
  );
}

/** Returns the lines of the screen as SVG: text, with a `tspan` for each style. */
async function drawn(output: string): Promise<string[]> {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  await new Promise<void>((resolve) => {
    terminal.write(output, resolve);
  });
  const screen = terminal.buffer.active;
  if (screen.baseY > 0) throw new Error(`The picture has more than ${rows} lines.`);
  return Array.from({ length: screen.cursorY + 1 }, (_, row) => {
    const line = screen.getLine(row);
    const length = line?.translateToString(true).length ?? 0;
    const runs: { style: string; text: string }[] = [];
    for (let column = 0; column < length; column++) {
      const cell = line?.getCell(column);
      if (cell === undefined) break;
      const colour = cell.isFgDefault() ? '' : `colour-${cell.getFgColor()}`;
      if (!css.includes(colour)) throw new Error(`The picture has no style for ${colour}.`);
      const style = [colour, cell.isBold() ? 'bold' : ''].join(' ').trim();
      const text = escaped(cell.getChars() || ' ');
      const last = runs.at(-1);
      if (last?.style === style) last.text += text;
      else runs.push({ style, text });
    }
    return runs
      .map(({ style, text }) => (style === '' ? text : `<tspan class="${style}">${text}</tspan>`))
      .join('');
  });
}

function svg(lines: string[]): string {
  const width = columns * columnWidth + 2 * padding;
  const height = lines.length * lineHeight + 2 * padding;
  const texts = lines.map((line, index) => {
    const y = padding + index * lineHeight + fontSize;
    return `<text x="${padding}" y="${y}" xml:space="preserve">${line}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">A terminal: kms-encrypt encrypts a message for alice, and kms-decrypt gives it back to her</title>
<style>${css}
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${texts.join('\n')}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
