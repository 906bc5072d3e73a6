/** The inputs of the suite: a test runner, and a factory that says what its targets support. */
import { DEFAULT_MAX_TRANSACTION_BYTES } from '../contract/names.js';
import type { Capabilities, Target } from '../contract/target.js';

/** The part of a test runner that jest, vitest and node:test have in common. */
export interface TestRunner {
  /** Groups tests under a title: `define` declares them, at once. */
  readonly describe: (title: string, define: () => void) => unknown;
  /** Declares a test. It fails if the promise of `run` rejects. */
  readonly it: ((title: string, run: () => Promise<void>) => unknown) & {
    /** Reports what is left out; without it nothing is reported. */
    readonly skip?: (title: string, run: () => Promise<void>) => unknown;
  };
  /** Calls and awaits `run` before each test of the group. */
  readonly beforeEach: (run: () => Promise<void>) => unknown;
  /** Calls and awaits `run` after each test of the group, also after a failed one. */
  readonly afterEach: (run: () => Promise<void>) => unknown;
}

/**
 * Creates targets to test. If a factory lacks a member, the suite omits the tests that need it: it
 * never tries whether something works.
 *
 * The suite closes every target that the factory creates, and then calls `dispose` for it.
 */
export interface TargetFactory {
  /** A new target without regions, not open, on its own storage, with room for 16 MiB. */
  create(): Target | Promise<Target>;

  /**
   * The same with a capacity of about `capacityBytes`; the tests use the value in its `stats()`.
   * Without it the rules of full targets are not tested.
   */
  createBounded?(capacityBytes: number): Target | Promise<Target>;

  /**
   * The same as `create`, with a pool id of 8 bytes, as in the context of a backend. Without it, of
   * importable targets only their listings are tested.
   */
  createImporting?(poolId: Uint8Array): Target | Promise<Target>;

  /**
   * A second target object, not open, over the storage of another one; over new storage if that was
   * destroyed. The other one is closed, except for the rule that nobody else may open what it has
   * open. For a remote target it should restart the server first. Without it recovery is tested
   * only by opening the same object again, and not whether `destroy` deletes the data.
   */
  reopen?(target: Target): Target | Promise<Target>;

  /**
   * A target object, not open, over the storage that would be left of an open target if its process
   * were killed now: for example a copy of its present files. It must not flush or close anything,
   * and the open target stays open. Without it crashes are not tested.
   */
  crash?(target: Target): Target | Promise<Target>;

  /**
   * Whether `fsync` or `fdatasync` of Node's fs makes bytes durable. Then calls that promise
   * durability must request one and wait for it. Without it that is not tested: a kill does not
   * show whether the kernel was asked.
   */
  readonly syncsByNode?: boolean;

  /**
   * Whether the storage may be open twice at a time. Default: false; then a second `open` must fail
   * with POOL_IN_USE.
   */
  readonly isShared?: boolean;

  /** Releases what belongs to a target: files, servers. */
  dispose?(target: Target): void | Promise<void>;

  /** Bytes of space that a region of `size` bytes uses, if that is more than its size. */
  spaceOf?(size: number): number;

  /** Largest region that the tests may create. Default: a little more than 4 GiB, sparse. */
  readonly maxRegionBytes?: number;

  /**
   * What a transaction of the targets may hold, bytes; `DEFAULT_MAX_TRANSACTION_BYTES` (1 MiB)
   * by default.
   */
  readonly maxTransactionBytes?: number;

  /**
   * How long a rule may wait while none of its calls begins or settles, milliseconds.
   * Default: 120000. It then fails, and names the calls that it waits for. If the runner's own
   * time-out is shorter, the hook after the test names them.
   */
  readonly patienceMs?: number;

  /**
   * Whether calls go to a server. Default: false. Then open and close concern only the connection,
   * `destroy` and `map` give NOT_SUPPORTED, concurrent calls arrive in any order, and the effects
   * of an interrupted call may appear a little later.
   */
  readonly isRemote?: boolean;

  /** A run that may take long: all repetitions, even if each is a separate request. Default: false. */
  readonly isThorough?: boolean;
}

/** What the rules of the contract depend on. */
export interface Setting {
  readonly factory: TargetFactory;
  readonly capabilities: Capabilities;
  readonly isRemote: boolean;
  readonly isThorough: boolean;
  /** Whether targets with a given capacity are available. */
  readonly isBounded: boolean;
  readonly maxRegionBytes: number;
  readonly maxTransactionBytes: number;
  /** How long nothing may happen in a rule, milliseconds. */
  readonly patienceMs: number;
}

/** Far longer than any call takes on the slowest machine. */
const PATIENCE_MS = 120_000;

export function settingOf(factory: TargetFactory, capabilities: Capabilities): Setting {
  return {
    factory,
    capabilities,
    isRemote: factory.isRemote ?? false,
    isThorough: factory.isThorough ?? false,
    isBounded: factory.createBounded !== undefined,
    maxRegionBytes: factory.maxRegionBytes ?? Number.MAX_SAFE_INTEGER,
    maxTransactionBytes: factory.maxTransactionBytes ?? DEFAULT_MAX_TRANSACTION_BYTES,
    patienceMs: factory.patienceMs ?? PATIENCE_MS,
  };
}
