/** The text that --help shows. */
import {
  type CommandName,
  commands,
  epilogue,
  exitStatuses,
  optionsOf,
  optionTitle,
} from './options.ts';
import { wrap } from './terminal/wrap.ts';

/** Descriptions begin here, beside the options. */
const descriptionColumn = 25;
/** With less room than this for them, they begin a line of their own. */
const minDescriptionWidth = 30;
const maxWidth = 100;

/** @param columns the window's width */
export function helpText(command: CommandName, columns: number): string {
  const { description, examples } = commands[command];
  const width = Math.max(20, Math.min(columns, maxWidth));
  const indent = width - descriptionColumn < minDescriptionWidth ? 8 : descriptionColumn;
  const indented = (text: string, by: number): string[] =>
    wrap(text, width - by).map((line) => ' '.repeat(by) + line);

  const options = Object.entries(optionsOf(command)).flatMap(([name, option]) => {
    const title = ' '.repeat(option.short === undefined ? 6 : 2) + optionTitle(name, option);
    const lines = indented(option.description, indent);
    if (title.length + 2 > indent) return [title, ...lines];
    return [title.padEnd(indent) + (lines[0] ?? '').trimStart(), ...lines.slice(1)];
  });
  const statuses = exitStatuses.map((each) => each.join(' ')).join(', ');
  return [
    `Usage: ${command} [options]`,
    '',
    ...wrap(description, width),
    '',
    'Options:',
    ...options,
    '',
    'Examples:',
    // A command stays on one line, whatever the width, so that it can be copied.
    ...examples.flatMap(([line, what]) => [`  ${line}`, ...indented(what, 6)]),
    '',
    ...wrap(epilogue, width),
    ...wrap(`Exit status: ${statuses}.`, width),
  ]
    .map((line) => `${line}\n`)
    .join('');
}
