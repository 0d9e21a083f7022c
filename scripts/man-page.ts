/** The manual pages, from the same source as --help. */
import {
  type CommandName,
  commands,
  epilogue,
  exitStatuses,
  optionsOf,
} from '../src/cli/options.ts';

/** A line of text must not begin with . or ', which begin a request, and - would become a hyphen. */
const escaped = (text: string): string =>
  text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/gm, '\\&$&');

/**
 * @returns a page in the man macros, which man(1) of Linux and macOS read
 * @see https://man7.org/linux/man-pages/man7/groff_man.7.html
 */
export function manPage(command: CommandName, version: string): string {
  const { description, examples } = commands[command];
  const [firstSentence = ''] = description.split('. ');
  const others = Object.keys(commands).filter((name) => name !== command);
  const lines = [
    `.TH ${escaped(command.toUpperCase())} 1 "" "kms\\-poc ${version}" "kms\\-poc"`,
    '.nh', // a name that is broken by a hyphen can't be copied
    '.SH NAME',
    `${escaped(command)} \\- ${escaped(lowerFirst(firstSentence.replace(/[.:]$/, '')))}`,
    '.SH SYNOPSIS',
    `.B ${escaped(command)}`,
    '.RI [ options ]',
    '.SH DESCRIPTION',
    escaped(description),
    '.SH OPTIONS',
    ...Object.entries(optionsOf(command)).flatMap(([name, option]) => {
      const forms = [
        option.short === undefined ? [] : `\\fB\\-${option.short}\\fR`,
        `\\fB\\-\\-${escaped(name)}\\fR`,
      ];
      const value = option.value === undefined ? '' : ` \\fI${option.value}\\fR`;
      return ['.TP', forms.flat().join(', ') + value, escaped(option.description)];
    }),
    '.SH SETTINGS',
    escaped(epilogue),
    '.SH EXIT STATUS',
    ...exitStatuses.flatMap(([status, meaning]) => ['.TP', `.B ${status}`, escaped(meaning)]),
    '.SH EXAMPLES',
    ...examples.flatMap(([line, what]) => ['.TP', `.B ${escaped(line)}`, escaped(what)]),
    '.SH SEE ALSO',
    others.map((name) => `\\fB${escaped(name)}\\fR(1)`).join(', '),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
