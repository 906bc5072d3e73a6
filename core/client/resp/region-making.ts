/**
 * Creates a region with contents over the Redis protocol. Small contents are sent in one command,
 * large ones in parts (`RegionUpload`).
 */
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import type { RegionSource } from '../../contract/target.js';
import { ofTheWhole } from '../remote/call-options.js';
import { callersOwn, type SourceBounds } from '../remote/source.js';
import type { CommandParts, TargetName } from './daemon-command.js';
import type { Link } from './link.js';
import { gathered, moveBytes, type MovePiece, moveSource, pieceBytesOf } from './pieces.js';
import { idOf } from './region-replies.js';
import { RegionUpload, type UploadOptions } from './upload.js';

/** How a region with contents is created. */
export interface Making extends UploadOptions {
  /** The command that takes all of the contents. */
  readonly whole: (bytes: Uint8Array) => Pick<CommandParts<RegionId>, 'name' | 'ref' | 'args'>;
}

export class RegionMaker {
  constructor(
    private readonly link: Link,
    private readonly target: TargetName,
  ) {}

  /** @throws what the target throws, OUTCOME_UNKNOWN, and what the source throws */
  make(contents: RegionSource | Uint8Array, making: Making, call: CallOptions): Promise<RegionId> {
    const pieceBytes = pieceBytesOf(this.link.limits);
    if (ArrayBuffer.isView(contents)) {
      const { length } = contents;
      if (length <= pieceBytes) return this.#makeOf(contents, making, call);
      return this.#upload(length, making, call, (add) => moveBytes(contents, pieceBytes, add));
    }
    if (contents.size <= pieceBytes) return this.#gather(contents, making, call);
    return this.#upload(contents.size, making, call, (add, bounds) =>
      moveSource(contents, bounds, pieceBytes, add),
    );
  }

  #makeOf(bytes: Uint8Array, { whole }: Making, call: CallOptions): Promise<RegionId> {
    const parts = { ...whole(bytes), isRepeatable: false, cost: bytes.length, result: idOf };
    return this.link.command(this.target, parts, call);
  }

  async #gather(source: RegionSource, making: Making, call: CallOptions): Promise<RegionId> {
    const whole = ofTheWhole(call);
    try {
      return await this.#makeOf(await gathered(source, this.#bounds(whole)), making, whole);
    } catch (error) {
      throw callersOwn(error);
    }
  }

  #upload(
    size: number,
    making: Making,
    call: CallOptions,
    move: (add: MovePiece, bounds: SourceBounds) => Promise<void>,
  ): Promise<RegionId> {
    const whole = ofTheWhole(call);
    return this.link.uploading(whole.signal, async () => {
      const upload = await RegionUpload.begin(this.link, this.target, size, making, whole);
      try {
        await move((part) => upload.add(part), this.#bounds(whole));
        return await upload.end();
      } catch (error) {
        await upload.cancel();
        throw callersOwn(error);
      }
    });
  }

  #bounds({ signal }: CallOptions): SourceBounds {
    return { signal, where: this.link.url };
  }
}
