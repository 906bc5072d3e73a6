/** INFO: facts about the daemon, in the form that clients of Redis parse: titles are one word, lines are `name:value`. */
import { type Authority, NEED } from '../security/identity.js';
import type { DaemonFacts, Run } from './command.js';
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
  // Some clients ask only for this until it is 0.
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

/** Names that stand for all sections. */
const ALL = ['default', 'all', 'everything'] as const;

/** INFO [section]…; an unknown section is empty, as in Redis. */
export const info: Run = (request, session) => {
  const daemon = seenBy(session.authority, session.daemon);
  const texts = SECTIONS.filter(([title]) => isAsked(request, title.toLowerCase())).map(([title, lines]) =>
    textOf(title, lines(daemon)),
  );
  if (!isAsked(request, 'keyspace') || !daemon.isReady()) {
    session.reply(texts.join('\r\n'));
    return undefined;
  }
  return session.calls.answerWith(
    // Safe: the version of the protocol changes only when nothing is in flight.
    keyspace(daemon).then((lines) => session.encode([...texts, textOf('Keyspace', lines)].join('\r\n'))),
  );
};

/** The daemon with the providers that somebody may read of. */
function seenBy(authority: Authority | undefined, daemon: DaemonFacts): DaemonFacts {
  if (authority === undefined) return daemon;
  const providers = daemon.providers.filter(({ name }) => authority.allows(NEED.read, name));
  return { ...daemon, providers };
}

function textOf(title: string, lines: readonly string[]): string {
  return [`# ${title}`, ...lines, ''].join('\r\n');
}

/** The number of regions of each provider, by the number that SELECT takes. The provider that is selected at first is 0. */
async function keyspace({ providers }: DaemonFacts): Promise<string[]> {
  const holding = providers.filter(({ targets }) => targets.length > 0);
  const lines = await Promise.all(
    holding.map(async ({ targets, providerId }, index) => {
      try {
        const keys = (await targets[0]?.stats())?.regions ?? 0;
        return keys === 0 ? [] : [`db${index === 0 ? 0 : providerId}:keys=${keys},expires=0,avg_ttl=0`];
      } catch {
        // A provider that is stopping has none.
        return [];
      }
    }),
  );
  return lines.flat();
}

function isAsked(request: Request, section: string): boolean {
  if (request.count === 1) return true;
  for (let index = 1; index < request.count; index++)
    if ([section, ...ALL].some((word) => request.isWord(index, word))) return true;
  return false;
}
