/**
 * The copy of a rados target that is made while it serves, for a snapshot or a migration. Changes
 * of this daemon are reported, and can be held, by a ChangeGate, as in other backends. Those of
 * other daemons are not seen here: so this daemon must serve alone from the beginning of the copy
 * to its end, and while changes are held nobody can join. Otherwise the copy ends with CONFLICT.
 */
import { BedrockError, ChangeGate, type ChangeListener, type ChangeWatch } from '../../core/index.js';
import type { Storage } from './storage.js';

export class Copying {
  readonly gate = new ChangeGate();
  #joined: Promise<string> | undefined;

  /** @throws CONFLICT if the target is being copied */
  watch(listener: ChangeListener, { exclusive, within }: Pick<Storage, 'exclusive' | 'within'>): ChangeWatch {
    const { gate } = this;
    if (gate.listener !== undefined) throw new BedrockError('CONFLICT', 'this rados target is being copied');
    gate.listener = listener;
    const joined = exclusive.joined();
    // Told when it is asked for.
    joined.catch(() => undefined);
    this.#joined = joined;
    const release = (): void => {
      gate.release();
      within(() => exclusive.release('copy'));
    };
    return {
      async hold(patienceMs) {
        await exclusive.acquire('copy');
        try {
          if ((await exclusive.joined()) !== (await joined))
            throw new BedrockError(
              'CONFLICT',
              'another daemon has served this namespace while it was copied; stop it, and begin again',
            );
          await gate.hold(patienceMs);
        } catch (error) {
          await exclusive.release('copy');
          throw error;
        }
      },
      release,
      end: () => {
        gate.listener = undefined;
        this.#joined = undefined;
        release();
      },
    };
  }

  /** Fails early a copy that could not be completed. @throws CONFLICT */
  async check(): Promise<void> {
    await this.#joined;
  }

  /** Makes a change: not while changes are held. */
  async changing<T>(change: () => Promise<T>): Promise<T> {
    const entered = this.gate.enter();
    if (entered !== undefined) await entered;
    try {
      return await change();
    } finally {
      this.gate.leave();
    }
  }
}
