/** `bedrock completion`: a completion script for a shell, generated from the commands. */
import { Argument, type Command } from 'commander';
import { subcommand } from './command-line.js';
import { SCRIPTS, type CommandWords, type Shell } from './completion-scripts.js';
import { print } from './output.js';

const EXAMPLES = `
Examples:
  source <(bedrock completion bash)                                   in ~/.bashrc
  source <(bedrock completion zsh)                                    in ~/.zshrc, after compinit
  bedrock completion fish > ~/.config/fish/completions/bedrock.fish
`;

export function addCompletion(program: Command): void {
  subcommand(program, 'completion')
    .description('Print a completion script for a shell.')
    .addArgument(new Argument('<SHELL>', 'the shell').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', EXAMPLES)
    .action((shell: Shell) => print(SCRIPTS[shell](wordsOf(program))));
}

/** The possible words on the command line, by command; the tree is flattened. */
function wordsOf(command: Command, before: readonly string[] = []): CommandWords[] {
  const names = [...before, command.name()];
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const own: CommandWords = {
    fullName: names.join(' '),
    commands: commands.map((one) => ({ name: one.name(), description: one.description() })),
    arguments: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: help.visibleOptions(command).map(({ short, long, description, argChoices, required }) => ({
      ...(short !== undefined && { short }),
      ...(long !== undefined && { long }),
      description,
      takesValue: required,
      choices: argChoices ?? [],
    })),
  };
  return [own, ...commands.flatMap((one) => wordsOf(one, names))];
}
