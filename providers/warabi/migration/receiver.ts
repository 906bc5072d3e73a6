/**
 * The destination's side of a migration: the routes of a warabi provider that the source calls
 * (wire.ts).
 */
import { randomUUID } from 'node:crypto';
import {
  BedrockError,
  defineRoute,
  jsonBody,
  RegionId,
  type ProviderRoute,
  type Target,
} from '../../../core/index.js';
import { poolIdOf, type TargetSlot } from '../target-slot.js';
import { Arrivals } from './arrivals.js';
import { sumOf } from './region-sum.js';
import {
  type AbandonRequest,
  type BeginAnswer,
  type BeginRequest,
  bodyOf,
  COMPARED_BYTES,
  type CompareAnswer,
  type CompareRequest,
  decodePieces,
  type DestinationState,
  type ErasedRequest,
  type FinishRequest,
  type InSession,
  type ListAnswer,
  type ListRequest,
  MAX_COMPARED,
  MAX_IDS,
  type PieceResult,
  WIRE_VERSION,
} from './wire.js';

export class Receiver {
  #session: string | undefined;
  #arrivals: readonly Arrivals[] = [];
  /** Begins and ends sessions one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly name: string,
    private readonly slots: readonly TargetSlot[],
  ) {}

  get routes(): ProviderRoute[] {
    return [
      defineRoute({
        method: 'POST',
        path: '/migration/begin',
        scope: 'admin',
        summary: 'Begin to receive the regions of another provider, or continue',
        isInternal: true,
        body: jsonBody<BeginRequest>(BEGIN),
        handle: ({ body }) => this.#alone(() => this.#begin(body)),
      }),
      defineRoute({
        method: 'POST',
        path: '/migration/erased',
        scope: 'admin',
        summary: 'Erase regions, and never use their IDs again',
        isInternal: true,
        body: jsonBody<ErasedRequest>(inSession({ ids: listOf(ID, MAX_IDS) })),
        handle: async ({ body }) => {
          await this.#arrivalsOf(body).erase(body.ids);
        },
      }),
      defineRoute({
        method: 'PUT',
        path: '/migration/pieces',
        scope: 'admin',
        summary: 'Receive parts of regions',
        isInternal: true,
        body: 'bytes',
        handle: async (request) => {
          const { head, contents } = decodePieces(await bodyOf(request));
          const arrivals = this.#arrivalsOf(head);
          const results: PieceResult[] = await Promise.all(
            head.pieces.map((piece, index) => arrivals.take(piece, contents[index] ?? NOTHING)),
          );
          return { results };
        },
      }),
      defineRoute({
        method: 'POST',
        path: '/migration/compare',
        scope: 'admin',
        summary: 'Return the checksums of parts of regions',
        isInternal: true,
        body: jsonBody<CompareRequest>(inSession({ parts: listOf(PART, MAX_COMPARED) })),
        handle: ({ body }) => this.#compare(body),
      }),
      defineRoute({
        method: 'POST',
        path: '/migration/list',
        scope: 'admin',
        summary: 'List the IDs that are there',
        isInternal: true,
        body: jsonBody<ListRequest>(inSession({}, { after: ID })),
        handle: ({ body }) => this.#list(body),
      }),
      defineRoute({
        method: 'POST',
        path: '/migration/finish',
        scope: 'admin',
        summary: 'Serve what was received',
        isInternal: true,
        body: jsonBody<FinishRequest>(FINISH),
        handle: ({ body }) => this.#alone(() => this.#finish(body)),
      }),
      defineRoute({
        method: 'POST',
        path: '/migration/abandon',
        scope: 'admin',
        summary: 'Drop what was received',
        isInternal: true,
        body: jsonBody<AbandonRequest>(ABANDON),
        handle: ({ body }) => this.#alone(() => this.#abandon(body)),
      }),
    ];
  }

  /** Ends the session, so that no import of a region is in progress. */
  stop(): Promise<void> {
    return this.#alone(() => this.#end());
  }

  #alone<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #end(): Promise<void> {
    this.#session = undefined;
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    await Promise.all(arrivals.map((each) => each.end()));
  }

  async #begin({ version, targets }: BeginRequest): Promise<BeginAnswer> {
    if (version !== WIRE_VERSION)
      throw new BedrockError(
        'NOT_SUPPORTED',
        `the source uses version ${version} of the migration protocol, and this daemon version ${WIRE_VERSION}; run the same version of bedrock-node on both`,
      );
    const { slots, name } = this;
    if (targets.length !== slots.length)
      throw new BedrockError(
        'CONFLICT',
        `the source has ${targets.length} targets, and provider "${name}" has ${slots.length}; the numbers must be equal`,
      );
    await this.#end();
    const states: DestinationState[] = [];
    for (const [index, { poolId, named }] of targets.entries()) {
      const slot = slots[index] as TargetSlot;
      await slot.settle();
      if (slot.state === undefined && (await this.#serves(slot, poolId))) {
        states.push('finished');
        continue;
      }
      if (named && !slot.capabilities.named)
        throw new BedrockError(
          'NOT_SUPPORTED',
          `regions of target ${index} have names, and target ${index} of provider "${name}" is of type ${slot.type}, which has none`,
        );
      states.push(slot.state === undefined ? 'begun' : 'resumed');
      await slot.takeIdentity(poolId);
    }
    this.#arrivals = slots.map(({ target }) => new Arrivals(target));
    this.#session = randomUUID();
    return {
      version: WIRE_VERSION,
      session: this.#session,
      targets: slots.map(({ type }, index) => ({ type, state: states[index] as DestinationState })),
    };
  }

  async #serves({ target, capabilities }: TargetSlot, poolId: string): Promise<boolean> {
    return capabilities.importable && (await poolIdOf(target)) === poolId;
  }

  /** @throws CONFLICT */
  #checkSession(session: string): void {
    if (session === this.#session) return;
    throw new BedrockError(
      'CONFLICT',
      `the session of this migration is over: the daemon restarted, or another migration to provider "${this.name}" has begun; repeat the migration`,
    );
  }

  #arrivalsOf({ session, target }: InSession): Arrivals {
    this.#checkSession(session);
    const arrivals = this.#arrivals[target];
    if (arrivals !== undefined) return arrivals;
    throw new BedrockError('INVALID_ARGUMENT', `provider "${this.name}" has no target ${target}`);
  }

  #targetOf(request: InSession): Target {
    this.#arrivalsOf(request);
    return (this.slots[request.target] as TargetSlot).target;
  }

  async #compare({ parts, ...request }: CompareRequest): Promise<CompareAnswer> {
    const target = this.#targetOf(request);
    const answers: CompareAnswer['parts'][number][] = [];
    for (const { id: text, offset, length } of parts) {
      const id = RegionId.parse(text);
      try {
        const { size, name } = await target.stat(id);
        const isThere = offset + length <= size;
        answers.push(isThere ? { sum: await sumOf(target, id, offset, length), name: name ?? null } : null);
      } catch (error) {
        if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
        answers.push(null);
      }
    }
    return { parts: answers };
  }

  async #list({ after, ...request }: ListRequest): Promise<ListAnswer> {
    const target = this.#targetOf(request);
    const page = await target.list({
      limit: MAX_IDS,
      ...(after !== undefined && { after: RegionId.parse(after) }),
    });
    const ids = page.regions.map(({ id }) => id.toString());
    return page.next === undefined ? { ids } : { ids, next: page.next.toString() };
  }

  async #finish({ session, targets }: FinishRequest): Promise<void> {
    const { slots } = this;
    // The request was repeated, after its answer was lost.
    const finished = await this.#finished(targets);
    if (finished === targets.length) return;
    // The source must not take back regions that are served here.
    if (finished > 0 && session !== this.#session)
      throw new BedrockError(
        'MIGRATION_UNFINISHED',
        `provider "${this.name}" serves ${finished} of the ${targets.length} targets; repeat the migration to complete it`,
      );
    this.#checkSession(session);
    if (targets.length !== slots.length)
      throw new BedrockError('CONFLICT', `provider "${this.name}" has ${slots.length} targets`);
    for (const [index, { regions }] of targets.entries()) {
      const { target, state } = slots[index] as TargetSlot;
      const { regions: there } = await target.stats();
      if (there === regions || state === undefined) continue;
      throw new BedrockError(
        'CHECKSUM_MISMATCH',
        `target ${index} of provider "${this.name}" has ${there} regions, and the source has ${regions}`,
      );
    }
    await this.#end();
    // After a crash in between, some targets serve and some do not. The next `finish` completes it.
    for (const slot of slots) if (slot.state !== undefined) await slot.accept();
  }

  /** @returns how many of them are served here */
  async #finished(targets: FinishRequest['targets']): Promise<number> {
    let finished = 0;
    for (const [index, { poolId }] of targets.entries()) {
      const slot = this.slots[index];
      await slot?.settle();
      if (slot !== undefined && slot.state === undefined && (await this.#serves(slot, poolId))) finished++;
    }
    return finished;
  }

  async #abandon({ pools }: AbandonRequest): Promise<void> {
    for (const [index, poolId] of pools.entries()) {
      const slot = this.slots[index];
      if (slot?.state === undefined && slot !== undefined && (await this.#serves(slot, poolId)))
        throw new BedrockError(
          'CONFLICT',
          `target ${index} of provider "${this.name}" already serves the regions; repeat the migration to complete it`,
        );
    }
    await this.#end();
    for (const [index, poolId] of pools.entries()) {
      const slot = this.slots[index];
      if (slot?.state?.role === 'receiving' && slot.state.poolId === poolId) await slot.giveUp();
    }
  }
}

const NOTHING = Buffer.alloc(0);
const ID = { type: 'string', pattern: '^[0-9a-f]{32}$', description: 'ID of a region.' };
const POOL_ID = { type: 'string', pattern: '^[0-9a-f]{16}$', description: 'ID of a pool.' };
const COUNT = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const SESSION = { type: 'string', maxLength: 64, description: 'The session that begin returned.' };
const PART = objectOf({ id: ID, offset: COUNT, length: { ...COUNT, maximum: COMPARED_BYTES } });
const BEGIN = objectOf({
  version: COUNT,
  targets: listOf(objectOf({ poolId: POOL_ID, named: { type: 'boolean' } }), MAX_IDS),
});
const FINISH = objectOf({
  session: SESSION,
  targets: listOf(objectOf({ poolId: POOL_ID, regions: COUNT }), MAX_IDS),
});
const ABANDON = objectOf({ pools: listOf(POOL_ID, MAX_IDS) });

function objectOf(
  properties: Record<string, object>,
  optional: Record<string, object> = {},
): Record<string, unknown> {
  return {
    type: 'object',
    additionalProperties: false,
    required: Object.keys(properties),
    properties: { ...properties, ...optional },
  };
}

function inSession(
  properties: Record<string, object>,
  optional: Record<string, object> = {},
): Record<string, unknown> {
  return objectOf({ session: SESSION, target: COUNT, ...properties }, optional);
}

function listOf(items: object, maxItems: number): object {
  return { type: 'array', maxItems, items };
}
