/** A backend for tests whose hooks are written down as they run, can be held at a gate and can be told to fail. */
import { Gate } from '../../core/conformance/assertions.js';
import {
  BaseTarget,
  type Capabilities,
  type Logger,
  Region,
  type RegionId,
  type RegionRange,
  RegionTable,
  type TargetMode,
  type Usage,
} from '../../core/index.js';

const NOTHING_MORE: Capabilities = {
  persistent: false,
  mappable: true,
  growable: false,
  importable: false,
  snapshots: false,
};

type Hook =
  | 'openStorage'
  | 'closeStorage'
  | 'destroyStorage'
  | 'usage'
  | 'allocate'
  | 'publish'
  | 'unpublish'
  | 'release'
  | 'read'
  | 'write'
  | 'persist'
  | 'map';

/** Keeps what is logged. */
export class LogKeeper implements Logger {
  readonly lines: string[] = [];

  readonly critical = this.#keep('critical');
  readonly error = this.#keep('error');
  readonly warning = this.#keep('warning');
  readonly info = this.#keep('info');
  readonly debug = this.#keep('debug');
  readonly trace = this.#keep('trace');

  child(): Logger {
    return this;
  }

  #keep(level: string): (message: string) => void {
    return (message) => void this.lines.push(`${level}: ${message}`);
  }
}

export class ScriptedTarget extends BaseTarget {
  readonly type = 'scripted';
  readonly capabilities = NOTHING_MORE;
  /** The hooks that ran, in order. */
  readonly hooks: string[] = [];
  /** The hooks that fail. */
  readonly failing = new Set<Hook>();
  readonly #gates = new Map<Hook, Gate>();
  readonly #regions = new RegionTable<Region>();

  constructor(readonly log = new LogKeeper()) {
    super(log);
  }

  /** From now on this hook waits for the gate. */
  hold(hook: Hook): Gate {
    const gate = new Gate();
    this.#gates.set(hook, gate);
    return gate;
  }

  /** How often a hook ran. */
  count(hook: Hook): number {
    return this.hooks.filter((name) => name.split(' ')[0] === hook).length;
  }

  async #run(hook: Hook, details = ''): Promise<void> {
    this.hooks.push(details === '' ? hook : `${hook} ${details}`);
    await this.#gates.get(hook)?.passed;
    if (this.failing.has(hook)) throw new Error(`${hook} failed`);
  }

  protected get mode(): TargetMode {
    return 'volatile';
  }
  protected async openStorage(): Promise<undefined> {
    await this.#run('openStorage');
  }
  protected closeStorage(): Promise<void> {
    return this.#run('closeStorage');
  }
  protected destroyStorage(): Promise<void> {
    return this.#run('destroyStorage');
  }
  protected async usage(): Promise<Usage> {
    await this.#run('usage');
    return { regions: this.#regions.size, usedBytes: 0, capacityBytes: null, largestFreeBytes: null };
  }
  protected find(id: RegionId): Region | undefined {
    return this.#regions.get(id);
  }
  protected regionsAfter(after: RegionId | undefined): Iterable<Region> {
    return this.#regions.after(after);
  }
  protected async allocate(size: number): Promise<Region> {
    await this.#run('allocate');
    return new Region(this.#regions.reserve(), size, 0);
  }
  protected async publish(region: Region): Promise<void> {
    await this.#run('publish');
    this.#regions.set(region);
  }
  protected async unpublish(region: Region): Promise<void> {
    await this.#run('unpublish');
    this.#regions.delete(region.id);
  }
  protected async release(region: Region): Promise<void> {
    await this.#run('release');
    this.#regions.free(region.id);
  }
  protected async readBytes(_region: Region, _offset: number, into: Uint8Array): Promise<void> {
    await this.#run('read');
    into.fill(0);
  }
  protected writeBytes(_region: Region, offset: number, bytes: Uint8Array): Promise<void> {
    return this.#run('write', `${offset}+${bytes.length}`);
  }
  protected persistRanges(_region: Region, ranges: readonly RegionRange[] | undefined): Promise<void> {
    const which = ranges?.map(({ offset, size }) => `${offset}+${size}`).join(',') ?? 'all';
    return this.#run('persist', which);
  }
  protected override async mapRegion(): Promise<{ views: readonly Uint8Array[] }> {
    await this.#run('map');
    return { views: [] };
  }
}
