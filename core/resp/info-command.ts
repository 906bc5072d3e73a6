/** INFO: what the daemon says of itself, in the form that clients of Redis parse: titles are one word, lines `name:value`. */
import type { CommandClient, DaemonFacts } from './command.js';
import { answering } from './connection-commands.js';
import type { Request } from './request.js';

type Section = readonly [title: string, lines: (daemon: DaemonFacts) => readonly string[]];

const SECTIONS: readonly Section[] = [
  [
    'Server',
    ({ version, startedAt }) => [
      `bedrock_version:${version}`,
      `process_id:${process.pid}`,
      `uptime_in_seconds:${Math.floor((performance.now() - startedAt) / 1000)}`,
    ],
  ],
  ['Clients', ({ figures }) => figures().clients],
  // Some clients ask for nothing else before they see that it is 0.
  ['Persistence', ({ isReady }) => [`loading:${isReady() ? 0 : 1}`]],
  ['Stats', ({ figures }) => figures().stats],
  [
    'Providers',
    ({ providers }) =>
      providers.map(
        ({ name, type, providerId, state }) => `${name}:type=${type},id=${providerId},state=${state}`,
      ),
  ],
];

/** Names of all sections at once. */
const ALL = ['default', 'all', 'everything'] as const;

/** INFO [section]…; there is nothing in one that is not there, as in Redis. */
export const info = answering((request, { daemon }: CommandClient) =>
  SECTIONS.filter(([title]) => isAsked(request, title.toLowerCase()))
    .map(([title, lines]) => [`# ${title}`, ...lines(daemon), ''].join('\r\n'))
    .join('\r\n'),
);

function isAsked(request: Request, section: string): boolean {
  if (request.count === 1) return true;
  for (let index = 1; index < request.count; index++)
    if ([section, ...ALL].some((word) => request.isWord(index, word))) return true;
  return false;
}
