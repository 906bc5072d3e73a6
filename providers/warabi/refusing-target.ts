/**
 * A target that refuses every call, with the reason: its regions have moved, or have not all
 * arrived.
 */
import type { BedrockError, Capabilities, MappedName, Target, TargetState } from '../../core/index.js';

export class RefusingTarget implements Target {
  readonly state: TargetState = 'open';

  constructor(
    readonly type: string,
    readonly capabilities: Capabilities,
    /** The error of every call. */
    readonly error: BedrockError,
  ) {}

  open(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  destroy = (): Promise<never> => this.#refuse();
  create = (): Promise<never> => this.#refuse();
  createAndWrite = (): Promise<never> => this.#refuse();
  write = (): Promise<never> => this.#refuse();
  writev = (): Promise<never> => this.#refuse();
  read = (): Promise<never> => this.#refuse();
  readInto = (): Promise<never> => this.#refuse();
  readv = (): Promise<never> => this.#refuse();
  persist = (): Promise<never> => this.#refuse();
  erase = (): Promise<never> => this.#refuse();
  stat = (): Promise<never> => this.#refuse();
  list = (): Promise<never> => this.#refuse();
  stats = (): Promise<never> => this.#refuse();
  map = (): Promise<never> => this.#refuse();
  put = (): Promise<never> => this.#refuse();
  find = (): Promise<never> => this.#refuse();
  rename = (): Promise<never> => this.#refuse();
  names = (): Promise<never> => this.#refuse();
  transact = (): Promise<never> => this.#refuse();
  importRegion = (): Promise<never> => this.#refuse();
  importErased = (): Promise<never> => this.#refuse();
  listErased = (): Promise<never> => this.#refuse();

  // oxlint-disable-next-line require-yield -- it throws at the first step, as the contract says
  async *mapNames(): AsyncGenerator<MappedName> {
    await this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(this.error);
  }
}
