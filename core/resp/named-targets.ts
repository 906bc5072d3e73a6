/**
 * Finds the targets that a connection's requests name, by `provider/` or `provider.target/` before
 * an ID, or by SELECT.
 */
import { BedrockError, invalid } from '../base/errors.js';
import type { ServedTarget } from '../runtime/served-target.js';

/** Gives access to the daemon's targets. */
export interface TargetFinder {
  /** Whether requests on regions are served. */
  isReady(): boolean;
  /** @throws PROVIDER_NOT_FOUND, NOT_SUPPORTED, NOT_READY, INVALID_ARGUMENT */
  served(provider: string | undefined, index: number): ServedTarget;
}

const PREFIX = /^(\w+)(?:\.(\d{1,9}))?\/$/;
/** How many prefixes are remembered with their targets. */
const MAX_KNOWN = 64;

export class NamedTargets {
  readonly #known = new Map<string, ServedTarget>();
  /** The selected target, in the form of a prefix. */
  #selected: string | undefined;
  /** Id of the selected provider; 0 if none was selected. */
  selectedId = 0;

  constructor(private readonly finder: TargetFinder) {}

  /** As in `CommandSession`. */
  select(name: string | undefined): void {
    const prefix = name === undefined ? undefined : `${name}/`;
    this.selectedId = prefix === undefined ? 0 : this.#find(prefix).provider.providerId;
    this.#selected = prefix;
    this.#known.delete('');
  }

  /** As in `CommandSession`. */
  served(prefix: string): ServedTarget {
    const known = this.#known.get(prefix);
    if (known?.isCurrent === true && this.finder.isReady()) return known;
    if (!this.finder.isReady())
      throw new BedrockError('NOT_READY', 'the daemon is starting or stopping; try again later');
    const served = this.#find(prefix);
    if (known !== undefined || this.#known.size < MAX_KNOWN) this.#known.set(prefix, served);
    return served;
  }

  #find(prefix: string): ServedTarget {
    const named = prefix === '' ? this.#selected : prefix;
    if (named === undefined) return this.finder.served(undefined, 0);
    const [, provider, index] = PREFIX.exec(named) ?? [];
    if (provider === undefined)
      throw invalid(
        `${JSON.stringify(named.slice(0, 64))} does not name a target; provider/ or provider.target/ does`,
      );
    return this.finder.served(provider, Number(index ?? 0));
  }
}
