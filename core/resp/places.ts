/** The targets that a connection's requests name, by `provider/` or `provider.target/` before an ID, or by SELECT. */
import { BedrockError } from '../base/errors.js';
import type { Place } from './operation-call.js';

/** What knows the daemon's targets. */
export interface PlaceFinder {
  /** Whether requests on regions are served. */
  isReady(): boolean;
  /** @throws PROVIDER_NOT_FOUND, NOT_SUPPORTED, NOT_READY, INVALID_ARGUMENT */
  place(provider: string | undefined, index: number): Place;
}

const PREFIX = /^(\w+)(?:\.(\d{1,9}))?\/$/;
/** Prefixes whose targets are remembered. */
const MAX_KNOWN = 64;

export class Places {
  readonly #known = new Map<string, Place>();
  /** In the form of a prefix. */
  #selected: string | undefined;
  /** Id of the provider that was selected; 0 if none was. */
  selectedId = 0;

  constructor(private readonly finder: PlaceFinder) {}

  /** See CommandClient. */
  select(place: string | undefined): void {
    const prefix = place === undefined ? undefined : `${place}/`;
    this.selectedId = prefix === undefined ? 0 : this.#find(prefix).provider.providerId;
    this.#selected = prefix;
    this.#known.delete('');
  }

  /** See CommandClient. */
  place(prefix: string): Place {
    const known = this.#known.get(prefix);
    if (known?.provider.state === 'running' && this.finder.isReady()) return known;
    if (!this.finder.isReady())
      throw new BedrockError('NOT_READY', 'the daemon is starting or stopping; try again later');
    const place = this.#find(prefix);
    if (this.#known.size < MAX_KNOWN) this.#known.set(prefix, place);
    return place;
  }

  #find(prefix: string): Place {
    const named = prefix === '' ? this.#selected : prefix;
    if (named === undefined) return this.finder.place(undefined, 0);
    const [, provider, index] = PREFIX.exec(named) ?? [];
    if (provider === undefined)
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(named.slice(0, 64))} names no target; provider/ and provider.target/ do`,
      );
    return this.finder.place(provider, Number(index ?? 0));
  }
}
