/**
 * Whether a daemon can do its work, for the health checks of its doors: every provider runs, its
 * targets are open and give their figures, no target has turned read-only, and the daemons that
 * providers depend on answer.
 *
 * States are read at each check. What needs a call (the figures of targets, other daemons) is asked
 * at most four times a second, however many callers check: a check needs no token, and must not
 * multiply into requests. Other daemons are asked whether they have the provider, not whether they
 * are well: daemons that depend on each other would wait for one another.
 *
 * A target that receives the regions of another one, or has moved, is not reported: an operator
 * began that, and its clients get the reason.
 */
import { asBedrockError, BedrockError, messageOf } from '../base/errors.js';
import { withTimeout } from '../base/timeout.js';
import { checkedTarget } from '../targets/checked-target.js';
import { INCOMPLETE } from './incomplete.js';
import { lookAt, type SeenProvider } from './provider-look.js';
import { type ReadOnlyTarget, turnedReadOnly } from './read-only.js';
import type { RunningProvider } from './running-provider.js';
import type { Trouble } from './trouble.js';

/** How long an answer is valid. */
const ASKED_MS = 250;
/** How long a target or another daemon may take to answer. */
const ANSWER_MS = 2000;

export interface Health {
  readonly failed: readonly Trouble[];
  /** Optional providers that did not start, if they were asked for. */
  readonly absent: readonly Trouble[];
  readonly readOnly: readonly ReadOnlyTarget[];
}

export interface HealthQuery {
  /** `read_only`: targets that have turned read-only. */
  readonly exclude?: 'read_only';
  /** `optional`: optional providers that did not start. The daemon runs without them by design. */
  readonly include?: 'optional';
}

export class HealthCheck {
  #asked:
    | { readonly at: number; readonly found: Promise<ReadonlyMap<RunningProvider, Trouble[]>> }
    | undefined;

  constructor(private readonly providers: () => readonly RunningProvider[]) {}

  /** @param wanted what to leave out, and what to check in addition */
  async check(wanted: HealthQuery = {}): Promise<Health> {
    const found = await this.#ask();
    // Read after the wait, so that the answer has the present states, and leaves out a provider
    // that was removed meanwhile.
    const seen = this.providers().map(lookAt);
    return {
      failed: seen.flatMap((one) => [...statesOf(one), ...(found.get(one.provider) ?? [])]),
      absent: wanted.include === 'optional' ? seen.flatMap(absenceOf) : [],
      readOnly: wanted.exclude === 'read_only' ? [] : turnedReadOnly(seen),
    };
  }

  #ask(): Promise<ReadonlyMap<RunningProvider, Trouble[]>> {
    const now = performance.now();
    if (this.#asked === undefined || now - this.#asked.at >= ASKED_MS)
      this.#asked = { at: now, found: askAll(this.providers()) };
    return this.#asked.found;
  }
}

/** The reasons why a daemon is not ready, each a sentence without a period; empty if it is. */
export function reasonsOf({ failed, absent, readOnly }: Health): string[] {
  return [
    ...failed.map(({ provider, target, dependency, reason }) => {
      const which = target === undefined ? '' : `, target ${target}`;
      const need = dependency === undefined ? '' : `, which depends on "${dependency}"`;
      return `provider "${provider}"${which}${need}: ${reason}`;
    }),
    ...absent.map(({ provider, reason }) => `provider "${provider}": ${reason}`),
    ...readOnly.map(
      ({ provider, target, reason }) => `target ${target} of "${provider}" has turned read-only: ${reason}`,
    ),
  ];
}

/** The troubles of a provider that should serve, as far as they are known without calling it. */
function statesOf({ provider, targets, fault }: SeenProvider): Trouble[] {
  const { name, state } = provider;
  if (fault !== undefined) return [{ provider: name, reason: fault }];
  if (state !== 'running') return [];
  return targets.flatMap(({ state: of, type }, target) =>
    of === 'closed' ? [{ provider: name, target, reason: `the ${type} target is closed` }] : [],
  );
}

function absenceOf({ provider: { name, state } }: SeenProvider): Trouble[] {
  return state === 'failed'
    ? [{ provider: name, reason: 'it is optional, and did not start; the log says why' }]
    : [];
}

async function askAll(
  providers: readonly RunningProvider[],
): Promise<ReadonlyMap<RunningProvider, Trouble[]>> {
  const running = providers.filter(({ state }) => state === 'running');
  return new Map(
    await Promise.all(
      running.map(async (provider) => {
        const found = await Promise.all([askTargets(provider), provider.missingDependencies(ANSWER_MS)]);
        return [provider, found.flat()] as const;
      }),
    ),
  );
}

/** Asks the targets that are open. */
async function askTargets(provider: RunningProvider): Promise<Trouble[]> {
  const { targets } = lookAt(provider);
  const troubles = await Promise.all(
    targets.map(async ({ target, state }, number): Promise<Trouble[]> => {
      if (state !== 'open') return [];
      const late = (): BedrockError =>
        new BedrockError('TIMEOUT', `it has not given its figures after ${ANSWER_MS} ms`);
      try {
        await withTimeout(checkedTarget(target).stats(), ANSWER_MS, late);
        return [];
      } catch (error) {
        if (INCOMPLETE.has(asBedrockError(error).code) || isClosed(provider, number)) return [];
        return [{ provider: provider.name, target: number, reason: messageOf(error) }];
      }
    }),
  );
  return troubles.flat();
}

/** Whether it was closed since it was asked: then its state is reported. */
function isClosed(provider: RunningProvider, number: number): boolean {
  return lookAt(provider).targets[number]?.state !== 'open';
}
