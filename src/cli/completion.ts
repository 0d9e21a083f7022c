/** What a shell runs to complete the options of all commands; `--completion` prints it. */
import { type CommandName, commands, type Option, optionsOf, shells } from './options.ts';
import { shellWord } from './shell-word.ts';

/** What can be suggested for a value by its name; for a FILE the shell itself knows. */
const suggestions: Readonly<Record<string, readonly string[]>> = {
  KEY: ['alias/', 'local', 'local:', 'rsa:', 'vault:'],
  SHELL: shells,
};

/** @returns undefined for a shell that is not known */
export function completionFor(shell: string): string | undefined {
  const known = shells.find((each) => each === shell);
  if (known === undefined) return undefined;
  const names = Object.keys(commands) as CommandName[];
  return names.map((name) => `${scripts[known](name, Object.entries(optionsOf(name)))}\n`).join('');
}

type Options = readonly (readonly [string, Option])[];

const scripts = { bash, zsh, fish };

/** @returns the part of a description that fits beside a name */
const brief = ({ description }: Option): string => description.replace(/\s*[(;,][^]*/, '');

const functionOf = (command: CommandName): string => `_${command.replaceAll('-', '_')}`;

/** Where nothing is suggested, bash completes the names of files. */
function bash(command: CommandName, options: Options): string {
  const names = options.map(([name]) => `--${name}`);
  const cases = options.flatMap(([name, { short, value }]) => {
    if (value === undefined || value === 'FILE') return [];
    const words = suggestions[value];
    const forms = short === undefined ? `--${name}` : `--${name}|-${short}`;
    return words === undefined
      ? `${forms}) compopt +o default +o bashdefault 2>/dev/null ;;`
      : `${forms}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$word"))
      [[ \${COMPREPLY-} != *[:/] ]] || compopt -o nospace 2>/dev/null ;;`;
  });
  return `${functionOf(command)}() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  case \${COMP_WORDS[COMP_CWORD-1]} in
    ${cases.join('\n    ')}
    *) [[ $word != -* ]] || COMPREPLY=($(compgen -W '${names.join(' ')}' -- "$word")) ;;
  esac
}
complete -o bashdefault -o default -F ${functionOf(command)} ${command}`;
}

function zsh(command: CommandName, options: Options): string {
  const specs = options.map(([name, option]) => {
    const { short, value } = option;
    const what = `[${brief(option).replace(/[[\]:\\]/g, '\\$&')}]`;
    const words = value === undefined ? undefined : suggestions[value];
    // After local: and rsa: comes the name of a file; after what goes on, no space.
    const found = `{ compset -P '(local|rsa):' && _files || compadd -S '' -- ${words?.join(' ')} }`;
    const action = value === 'FILE' ? '_files' : words ? found.replaceAll(':', '\\:') : ' ';
    const spec = shellWord(value === undefined ? what : `${what}:${value}:${action}`);
    const long = value === undefined ? `--${name}` : `--${name}=`;
    return short === undefined
      ? `${long}${spec}`
      : `'(-${short} --${name})'{-${short}${value === undefined ? '' : '+'},${long}}${spec}`;
  });
  return `${functionOf(command)}() {
  _arguments -s \\
    ${specs.join(' \\\n    ')}
}
compdef ${functionOf(command)} ${command}`;
}

function fish(command: CommandName, options: Options): string {
  const lines = options.map(([name, option]) => {
    const { short, value } = option;
    const words = value === undefined ? undefined : suggestions[value];
    return [
      `complete -c ${command} -l ${name}`,
      short === undefined ? '' : ` -s ${short}`,
      value === undefined ? '' : value === 'FILE' ? ' -r -F' : ' -x',
      words === undefined ? '' : ` -a '${words.join(' ')}'`,
      ` -d ${shellWord(brief(option))}`,
    ].join('');
  });
  return [`complete -c ${command} -f`, ...lines].join('\n');
}
