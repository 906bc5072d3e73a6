/**
 * Creates a region whose contents are sent to the daemon in parts, all on one connection. If the
 * connection breaks before the last command is sent, the daemon frees the space, and no region is
 * created.
 */
import type { BedrockError } from '../../base/errors.js';
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import { within } from '../remote/call-options.js';
import type { Argument } from './command.js';
import { outcomeUnknown } from './lane.js';
import type { Link } from './link.js';
import { type Key, OtherCommand, type TargetName } from './daemon-command.js';
import { idOf, isOk, numberOf } from './region-replies.js';
import type { Reply } from '../../redis-wire/reply.js';
import type { RespConnection } from './resp-connection.js';

/** A command that is valid on one connection only. */
class PartCommand<T> extends OtherCommand<T> {
  override broken(error: BedrockError, wasSent: boolean): void {
    this.fail(wasSent && !this.isRepeatable ? outcomeUnknown(error) : error);
  }
}

/**
 * The command that begins an upload. If its caller has given it up meanwhile, the upload is
 * cancelled when the reply comes.
 */
class BeginCommand extends OtherCommand<number> {
  override replied(reply: Reply): void {
    const isGivenUp = this.isSettled;
    super.replied(reply);
    if (isGivenUp && typeof reply === 'number') this.connection?.submit(cancelCommand(reply));
  }
}

function cancelCommand(number: number): PartCommand<void> {
  const parts = { name: 'BLOB.UPLOAD.CANCEL', args: [number], isRepeatable: true, result: isOk };
  const command = new PartCommand(undefined, parts);
  // If the connection is gone, so is the upload. If the upload has just ended, there is nothing to
  // cancel.
  command.promise.catch(() => undefined);
  return command;
}

/** Options of an upload. */
export interface UploadOptions {
  /** Arguments after the size. */
  readonly options: readonly (Argument | Key)[];
  /** Whether a region among them identifies the target. */
  readonly keysTell?: boolean;
}

export class RegionUpload {
  private constructor(
    private readonly link: Link,
    private readonly connection: RespConnection,
    private readonly number: number,
    private readonly call: CallOptions,
  ) {}

  /** @throws OUT_OF_SPACE and what else the target reports at once */
  static async begin(
    link: Link,
    target: TargetName,
    size: number,
    { options, keysTell = false }: UploadOptions,
    call: CallOptions,
  ): Promise<RegionUpload> {
    // It can be sent twice: what a broken connection had begun was removed with it.
    const begun = new BeginCommand(target, {
      name: 'BLOB.UPLOAD',
      args: [size, ...options],
      keysTell,
      isRepeatable: true,
      result: numberOf,
    });
    const number = await link.submit(begun, call);
    return new RegionUpload(link, begun.connection as RespConnection, number, call);
  }

  /** Sends a part. @returns when the daemon has taken it, and its memory can be used again */
  add(part: Uint8Array): Promise<void> {
    return this.#send('BLOB.UPLOAD.PART', [part], true, isOk);
  }

  /** Creates the region. @throws what the target throws, OUTCOME_UNKNOWN */
  end(): Promise<RegionId> {
    return this.#send('BLOB.UPLOAD.END', [], false, idOf);
  }

  /** Frees the space of the upload. @returns when that is done, or the caller no longer waits */
  async cancel(): Promise<void> {
    const cancelled = cancelCommand(this.number);
    this.connection.submit(cancelled);
    await within(cancelled.promise, this.call.signal, this.link.url).catch(() => undefined);
  }

  #send<T>(
    name: string,
    args: readonly Argument[],
    isRepeatable: boolean,
    result: (reply: Reply) => T,
  ): Promise<T> {
    const sent = new PartCommand(undefined, { name, args: [this.number, ...args], isRepeatable, result });
    return this.link.bounded(sent, this.call, this.connection);
  }
}
