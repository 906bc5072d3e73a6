/**
 * A backend for tests whose hooks are written down as they run, can be held at a gate and can be
 * told to fail.
 */
import { Gate } from '../../core/conformance/assertions.js';
import {
  BaseTarget,
  type Capabilities,
  type Logger,
  type Naming,
  Region,
  type RegionId,
  type RegionRange,
  RegionDirectory,
  type TargetMode,
  type Transaction,
  type ListedRegion,
  type NameEntry,
  type Usage,
} from '../../core/index.js';

const NOTHING_MORE: Capabilities = {
  persistent: false,
  mappable: true,
  growable: false,
  importable: false,
  snapshots: false,
  named: false,
  transactional: false,
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
  | 'map'
  | 'rename'
  | 'commit';

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
  readonly capabilities: Capabilities = NOTHING_MORE;
  /** The hooks that ran, in order. */
  readonly hooks: string[] = [];
  /** The hooks that fail. */
  readonly failing = new Set<Hook>();
  readonly #gates = new Map<Hook, Gate>();
  protected readonly regions = new RegionDirectory<Region>();

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

  protected async run(hook: Hook, details = ''): Promise<void> {
    this.hooks.push(details === '' ? hook : `${hook} ${details}`);
    await this.#gates.get(hook)?.passed;
    if (this.failing.has(hook)) throw new Error(`${hook} failed`);
  }

  protected get mode(): TargetMode {
    return 'volatile';
  }
  protected async openStorage(): Promise<undefined> {
    await this.run('openStorage');
  }
  protected closeStorage(): Promise<void> {
    return this.run('closeStorage');
  }
  protected destroyStorage(): Promise<void> {
    return this.run('destroyStorage');
  }
  protected async usage(): Promise<Usage> {
    await this.run('usage');
    return { regions: this.regions.size, usedBytes: 0, capacityBytes: null, largestFreeBytes: null };
  }
  protected lookUp(id: RegionId): Region | undefined {
    return this.regions.get(id);
  }
  protected regionsAfter(after: RegionId | undefined): Iterable<ListedRegion> {
    return this.regions.after(after);
  }
  protected async allocate(size: number): Promise<Region> {
    await this.run('allocate');
    return new Region(this.regions.reserve(), size, 0);
  }
  protected async publish(region: Region, naming?: Naming): Promise<void> {
    await this.run('publish');
    this.regions.set(region, 0, naming);
  }
  protected async unpublish(region: Region): Promise<void> {
    await this.run('unpublish');
    this.regions.delete(region);
  }
  protected async release(region: Region): Promise<void> {
    await this.run('release');
    this.regions.free(region.id);
  }
  protected async readBytes(_region: Region, _offset: number, into: Uint8Array): Promise<void> {
    await this.run('read');
    into.fill(0);
  }
  protected writeBytes(_region: Region, offset: number, bytes: Uint8Array): Promise<void> {
    return this.run('write', `${offset}+${bytes.length}`);
  }
  protected persistRanges(_region: Region, ranges: readonly RegionRange[] | undefined): Promise<void> {
    const which = ranges?.map(({ offset, size }) => `${offset}+${size}`).join(',') ?? 'all';
    return this.run('persist', which);
  }
  protected override async mapRegion(): Promise<{ views: readonly Uint8Array[] }> {
    await this.run('map');
    return { views: [] };
  }
}

/** The same with names and transactions. */
export class NamedScriptedTarget extends ScriptedTarget {
  override readonly capabilities = { ...NOTHING_MORE, named: true, transactional: true };

  protected override lookUpName(name: string): Region | undefined {
    return this.regions.lookUpName(name);
  }
  protected override nameOf(region: ListedRegion): string | undefined {
    return this.regions.nameOf(region);
  }
  protected override namesFrom(from: Uint8Array | undefined): Iterable<NameEntry> {
    return this.regions.namesFrom(from);
  }
  protected override async renameRegion(
    region: Region,
    name: string | undefined,
    replaced: Region | undefined,
  ): Promise<void> {
    await this.run('rename');
    this.regions.rename(region, name, replaced);
  }
  protected override async commit({ published, renamed, erased }: Transaction): Promise<void> {
    await this.run('commit', `${published.length} ${renamed.length} ${erased.length}`);
    this.regions.setNames([...renamed, ...published]);
    for (const region of erased) this.regions.delete(region);
    for (const { region } of published) this.regions.set(region);
    // The step is over, and its caller does not know yet.
    await Promise.resolve();
  }
}
