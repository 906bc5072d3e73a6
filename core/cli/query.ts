/**
 * `bedrock query`: shows the running configurations of daemons, or the results of an expression on
 * them.
 */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { Service } from '../client/service.js';
import type { CallOptions } from '../contract/remote-provider.js';
import { ADDRESS_HELP, collect, connectTo, defaultAddress, withToken } from './client-command.js';
import { subcommand } from './command-line.js';
import { ofNamedFile, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { printJson } from './output.js';
import { type CertificateOptions, checkCertificatesAreUsed, withCertificates } from './tls-options.js';

const EXAMPLES = `
Examples:
  bedrock query                                          {"http://127.0.0.1:7480":{…}}
  bedrock query --pretty -a unix:/run/bedrock.sock
  bedrock query -a http://node1:7480 -a http://node2:7480
  bedrock query -f group.json -q 'providers.name'        of all daemons of a group file
  bedrock query -j free.jsonata                          the expression in a file
  bedrock query | jq '.[].providers[].name'

If one of several daemons cannot be reached, nothing is printed, and the exit status is 1.
docs/query.md describes the expressions and group files.
`;

interface QueryOptions extends CertificateOptions {
  address?: string[];
  file?: string[];
  expression?: string;
  expressionFile?: string;
  tokenFile?: string;
  pretty?: boolean;
}

export function addQuery(program: Command): void {
  withToken(withCertificates(subcommand(program, 'query')))
    .description('Print the running configurations of daemons, one JSON object with their addresses as keys.')
    .option('-a, --address <URL>', `${ADDRESS_HELP}; can be repeated`, collect(String))
    .option(
      '-f, --file <GROUP>',
      'group file with the addresses of daemons; can be repeated',
      collect(String),
    )
    .option('-q, --expression <EXPR>', 'JSONata expression; each daemon evaluates it on its configuration')
    .option('-j, --expression-file <FILE>', 'file with the expression; - is standard input')
    .option('-p, --pretty', 'indent')
    .addHelpText('after', EXAMPLES)
    .action((options: QueryOptions) =>
      interruptible(async (signal) => {
        const expression = await expressionOf(options);
        const addresses = await addressesOf(options);
        checkCertificatesAreUsed(addresses, options);
        const answers = await Promise.all(addresses.map((one) => ask(one, options, expression, { signal })));
        await printJson(Object.fromEntries(answers), options.pretty);
      }),
    );
}

/** @throws UsageError, Conclusion */
async function expressionOf({ expression, expressionFile }: QueryOptions): Promise<string | undefined> {
  if (expressionFile === undefined) return expression;
  if (expression !== undefined)
    throw new UsageError('bedrock query: both --expression and --expression-file were given; give one');
  if (expressionFile === '-') return text(process.stdin);
  return ofNamedFile(expressionFile, () => readFile(expressionFile, 'utf8'));
}

/** Each address once, in their order. @throws Conclusion, CONFIG_INVALID */
async function addressesOf({ address, file: files = [] }: QueryOptions): Promise<string[]> {
  const named = address ?? (files.length === 0 ? [defaultAddress()] : []);
  if (files.length === 0) return named;
  // Loaded only now, since it loads the validator.
  const { readGroupFile } = await import('./group-file.js');
  const members = await Promise.all(files.map(readGroupFile));
  return [...new Set([...named, ...members.flat()])];
}

async function ask(
  address: string,
  options: CertificateOptions & { tokenFile?: string },
  expression: string | undefined,
  call: Required<Pick<CallOptions, 'signal'>>,
): Promise<[url: string, answer: unknown]> {
  const service: Service = await connectTo(address, options, call);
  try {
    return [service.url, await service.query(expression, call)];
  } catch (error) {
    // With several daemons, the error must tell which one it was.
    throw error instanceof BedrockError
      ? new BedrockError(error.code, `${service.url}: ${error.message}`, {
          details: error.details,
          cause: error,
        })
      : error;
  }
}
