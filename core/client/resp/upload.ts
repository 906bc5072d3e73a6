/**
 * A new region whose contents go to the daemon in parts. All of it happens on one connection: if that breaks, the daemon gives the
 * space back, and as long as the last command was not sent nothing was made.
 */
import type { BedrockError } from '../../base/errors.js';
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import { within } from '../remote/call-options.js';
import type { Argument } from './call.js';
import { outcomeUnknown } from './lane.js';
import type { Link } from './link.js';
import { CommandCall, type TargetPlace } from './region-call.js';
import { idOf, isOk, numberOf } from './region-replies.js';
import type { Reply } from './reply.js';
import type { RespConnection } from './resp-connection.js';

/** A command that is good on one connection alone. */
class PartCall<T> extends CommandCall<T> {
  override broken(error: BedrockError, wasSent: boolean): void {
    this.fail(wasSent && !this.isRepeatable ? outcomeUnknown(error) : error);
  }
}

/** A call that begins an upload. If its caller has given it up meanwhile, the upload ends with the reply. */
class BeginCall extends CommandCall<number> {
  override replied(reply: Reply): void {
    const isGivenUp = this.isSettled;
    super.replied(reply);
    if (isGivenUp && typeof reply === 'number') this.connection?.submit(cancelCall(reply));
  }
}

function cancelCall(number: number): PartCall<void> {
  const parts = { name: 'BLOB.UPLOAD.CANCEL', args: [number], isRepeatable: true, result: isOk };
  const call = new PartCall(undefined, parts);
  // If the connection is gone, so is the upload; if it has just ended, there is nothing to give up.
  call.promise.catch(() => undefined);
  return call;
}

export class RegionUpload {
  private constructor(
    private readonly link: Link,
    private readonly connection: RespConnection,
    private readonly number: number,
    private readonly call: CallOptions,
  ) {}

  /** @throws OUT_OF_SPACE and what else the target says at once */
  static async begin(
    link: Link,
    place: TargetPlace,
    { size, persist }: { size: number; persist: boolean },
    call: CallOptions,
  ): Promise<RegionUpload> {
    // Sent twice it makes no difference: what a broken connection had begun is gone with it.
    const begun = new BeginCall(place, {
      name: 'BLOB.UPLOAD',
      args: persist ? [size, 'PERSIST'] : [size],
      isRepeatable: true,
      result: numberOf,
    });
    const number = await link.submit(begun, call);
    return new RegionUpload(link, begun.connection as RespConnection, number, call);
  }

  /** Sends a part. @returns when it was taken, and its memory is free again */
  add(part: Uint8Array): Promise<void> {
    return this.#send('BLOB.UPLOAD.PART', [part], true, isOk);
  }

  /** Makes the region. @throws what the target throws, OUTCOME_UNKNOWN */
  end(): Promise<RegionId> {
    return this.#send('BLOB.UPLOAD.END', [], false, idOf);
  }

  /** Gives its space back. @returns when that is done, or the caller waits no more */
  async cancel(): Promise<void> {
    const cancelled = cancelCall(this.number);
    this.connection.submit(cancelled);
    await within(cancelled.promise, this.call.signal, this.link.url).catch(() => undefined);
  }

  #send<T>(
    name: string,
    args: readonly Argument[],
    isRepeatable: boolean,
    result: (reply: Reply) => T,
  ): Promise<T> {
    const sent = new PartCall(undefined, { name, args: [this.number, ...args], isRepeatable, result });
    return this.link.bounded(sent, this.call, this.connection);
  }
}
