/**
 * INFO: facts about the daemon, in the form that clients of Redis parse: titles are one word, lines
 * are `name:value`.
 */
import { reasonsOf } from '../runtime/health.js';
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
  const daemon = seenBy(session.rights.authority, session.daemon);
  const texts = SECTIONS.filter(([title]) => isAsked(request, title.toLowerCase())).map(([title, lines]) =>
    textOf(title, lines(daemon)),
  );
  const asked = daemon.isReady()
    ? [
        ...(isNamed(request, ['health', 'all', 'everything']) ? [health(daemon)] : []),
        ...(isAsked(request, 'keyspace') ? [keyspace(daemon)] : []),
      ]
    : [];
  if (asked.length === 0) {
    session.reply(texts.join('\r\n'));
    return undefined;
  }
  return session.calls.answerWith(
    // Safe: the version of the protocol changes only when nothing is in flight.
    Promise.all(asked).then((more) => session.encode([...texts, ...more].join('\r\n'))),
  );
};

/**
 * What /readyz tells. Only where it is named: clients ask for the rest at each connection, and this
 * takes calls.
 */
async function health({ health, providers }: DaemonFacts): Promise<string> {
  const found = await health.check();
  // Safe: of a provider that was removed meanwhile, the check says nothing.
  const seen = new Set(providers.map(({ name }) => name));
  const reasons = reasonsOf(found);
  const shown = reasonsOf({
    failed: found.failed.filter(({ provider }) => seen.has(provider)),
    absent: found.absent.filter(({ provider }) => seen.has(provider)),
    readOnly: found.readOnly.filter(({ provider }) => seen.has(provider)),
  });
  return textOf('Health', [
    `ready:${reasons.length === 0 ? 1 : 0}`,
    `troubles:${reasons.length}`,
    ...shown.map((reason, index) => `trouble_${index}:${reason.replaceAll(/[\r\n]+/g, ' ')}`),
  ]);
}

/** The daemon with the providers that somebody may read of. */
function seenBy(authority: Authority | undefined, daemon: DaemonFacts): DaemonFacts {
  if (authority === undefined) return daemon;
  const providers = daemon.providers.filter(({ name }) => authority.allows(NEED.read, name));
  return { ...daemon, providers };
}

function textOf(title: string, lines: readonly string[]): string {
  return [`# ${title}`, ...lines, ''].join('\r\n');
}

/**
 * The number of regions of each provider, by the number that SELECT takes. The provider that is
 * selected at first is 0.
 */
async function keyspace({ providers }: DaemonFacts): Promise<string> {
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
  return textOf('Keyspace', lines.flat());
}

function isAsked(request: Request, section: string): boolean {
  return request.count === 1 || isNamed(request, [section, ...ALL]);
}

function isNamed(request: Request, words: readonly string[]): boolean {
  for (let index = 1; index < request.count; index++)
    if (words.some((word) => request.isWord(index, word))) return true;
  return false;
}
