/**
 * Completion scripts. All three find the command that the preceding words lead to (by its full
 * name, such as `bedrock region read`), then offer what may follow. Otherwise the shell completes
 * file names.
 */
export interface OptionWords {
  readonly short?: string;
  readonly long?: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

export interface CommandWords {
  /** The command and its parents, separated by spaces. */
  readonly fullName: string;
  readonly commands: readonly { name: string; description: string }[];
  /** Possible values of its arguments, if they are known. */
  readonly arguments: readonly string[];
  readonly options: readonly OptionWords[];
}

export const SCRIPTS = { bash, zsh, fish } as const;

export type Shell = keyof typeof SCRIPTS;

function bash(tree: readonly CommandWords[]): string {
  return `# bash completion for bedrock
_bedrock() {
  local place=bedrock i cur=\${COMP_WORDS[COMP_CWORD]} flags= words=
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place \${COMP_WORDS[i]}" in
      ${namesBelow(tree)}) place="$place \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$place \${COMP_WORDS[COMP_CWORD - 1]}" in
${valueCases(tree, (choices) => `COMPREPLY=($(compgen -W ${quote(choices.join(' '))} -- "$cur")); return`)}
    ${valueFlags(tree)}) return ;;
  esac
  case "$place" in
${tree.map((command) => `    ${quote(command.fullName)}) ${wordsInBash(command)} ;;`).join('\n')}
  esac
  if [[ $cur == -* ]]; then words=$flags; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _bedrock bedrock
`;
}

function wordsInBash({ commands, arguments: values, options }: CommandWords): string {
  const words = [...commands.map(({ name }) => name), ...values];
  // Short flags need no completion.
  const flags = options.map(({ long, short }) => long ?? short ?? '');
  return `words=${quote(words.join(' '))} flags=${quote(flags.join(' '))}`;
}

function zsh(tree: readonly CommandWords[]): string {
  return `#compdef bedrock
_bedrock() {
  local place=bedrock i
  local -a flags offered
  for ((i = 2; i < CURRENT; i++)); do
    case "$place \${words[i]}" in
      (${namesBelow(tree)}) place="$place \${words[i]}" ;;
    esac
  done
  case "$place \${words[CURRENT - 1]}" in
${valueCases(tree, (choices) => `compadd -- ${choices.map(quote).join(' ')}; return`)}
    ${valueFlags(tree)}) _files; return ;;
  esac
  case "$place" in
${tree.map((command) => `    ${quote(command.fullName)}) ${wordsInZsh(command)} ;;`).join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe option flags
  else
    ((\${#offered})) && _describe command offered
    _files
  fi
}
if [[ "\${funcstack[1]}" == _bedrock ]]; then
  _bedrock "$@"
else
  compdef _bedrock bedrock
fi
`;
}

function wordsInZsh({ commands, arguments: values, options }: CommandWords): string {
  const offered = [...commands.map(({ name, description }) => `${name}:${description}`), ...values];
  const flags = options.flatMap((option) => flagsOf(option).map((flag) => `${flag}:${option.description}`));
  return `offered=(${offered.map(quote).join(' ')}) flags=(${flags.map(quote).join(' ')})`;
}

function fish(tree: readonly CommandWords[]): string {
  const names = tree.slice(1).map(({ fullName }) => quoteFish(fullName));
  const lines = tree.flatMap(({ fullName, commands, arguments: values, options }) => {
    const here = `complete -c bedrock -n ${quoteFish(`test (__bedrock_place) = ${quoteFish(fullName)}`)}`;
    return [
      ...commands.map(
        ({ name, description }) => `${here} -a ${quoteFish(name)} -d ${quoteFish(description)}`,
      ),
      ...values.map((value) => `${here} -a ${quoteFish(value)}`),
      ...options.map((option) => `${here} ${fishOption(option)}`),
    ];
  });
  return `# fish completion for bedrock
function __bedrock_place
    set -l place bedrock
    for word in (commandline -opc)[2..-1]
        if contains -- "$place $word" ${names.join(' ')}
            set place "$place $word"
        end
    end
    echo $place
end
${lines.join('\n')}
`;
}

function fishOption({ short, long, description, takesValue, choices }: OptionWords): string {
  return [
    ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
    ...(long === undefined ? [] : [`-l ${long.slice(2)}`]),
    ...(takesValue ? ['-r'] : []),
    ...(choices.length > 0 ? [`-f -a ${quoteFish(choices.join(' '))}`] : []),
    `-d ${quoteFish(description)}`,
  ].join(' ');
}

/** Every full name except the first, as the pattern of a case. */
function namesBelow(tree: readonly CommandWords[]): string {
  return tree
    .slice(1)
    .map(({ fullName }) => quote(fullName))
    .join(' | ');
}

/** Positions after an option with known values, one case each. */
function valueCases(tree: readonly CommandWords[], offer: (choices: readonly string[]) => string): string {
  return tree
    .flatMap(({ fullName, options }) =>
      options
        .filter(({ choices }) => choices.length > 0)
        .map((option) => `    ${fullFlags(fullName, option).join(' | ')}) ${offer(option.choices)} ;;`),
    )
    .join('\n');
}

/** Positions after an option with unknown values; the shell completes file names there. */
function valueFlags(tree: readonly CommandWords[]): string {
  return tree
    .flatMap(({ fullName, options }) =>
      options
        .filter(({ takesValue, choices }) => takesValue && choices.length === 0)
        .flatMap((option) => fullFlags(fullName, option)),
    )
    .join(' | ');
}

function fullFlags(fullName: string, option: OptionWords): string[] {
  return flagsOf(option).map((flag) => quote(`${fullName} ${flag}`));
}

function flagsOf({ short, long }: OptionWords): string[] {
  return [short, long].filter((flag) => flag !== undefined);
}

/** For bash and zsh. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function quoteFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
