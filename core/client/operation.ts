/**
 * An operation of a daemon, such as a snapshot, as a program sees it. It may take hours, so no
 * request waits for it: the state is asked for again and again, at most twice a second.
 */
import { setTimeout as pass } from 'node:timers/promises';
import { BedrockError } from '../base/errors.js';
import type { OperationStatus } from '../contract/operation.js';
import type { CallOptions, OperationOptions, RemoteOperation } from '../contract/remote-provider.js';
import { ofTheWhole, within } from './remote/call-options.js';
import type { Transport } from './remote/transport.js';

const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 500;

export class ServiceOperation implements RemoteOperation {
  constructor(
    private readonly transport: Transport,
    readonly id: string,
  ) {}

  status(call: CallOptions = {}): Promise<OperationStatus> {
    return this.transport.operation(this.id, call);
  }

  async cancel(call: CallOptions = {}): Promise<void> {
    await this.transport.cancel(this.id, call);
  }

  async ended({ onProgress, ...call }: OperationOptions = {}): Promise<OperationStatus> {
    const whole = ofTheWhole(call);
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      const status = await this.status(whole);
      onProgress?.(status);
      if (status.state !== 'running') return status;
      await within(pass(waitMs, undefined, { ref: true }), whole.signal, this.transport.url);
    }
  }

  async done(options: OperationOptions = {}): Promise<OperationStatus> {
    const status = await this.ended(options);
    if (status.state === 'done') return status;
    const {
      code,
      message,
      details = {},
    } = status.error ?? {
      code: 'INTERNAL' as const,
      message: `the operation ended as ${status.state}`,
    };
    throw new BedrockError(code, message, { details });
  }
}

/**
 * Waits for an operation that was begun for this call: the end of the call is the end of the
 * operation.
 */
export async function doneOrCancelled(
  operation: RemoteOperation,
  { onProgress, ...call }: OperationOptions,
): Promise<OperationStatus> {
  try {
    return await operation.done({ ...call, ...(onProgress !== undefined && { onProgress }) });
  } catch (error) {
    // Without the call's own limits, which have ended it.
    if (call.signal?.aborted === true || (error as BedrockError).code === 'TIMEOUT')
      await operation.cancel().catch(() => undefined);
    throw error;
  }
}
