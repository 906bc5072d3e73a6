/** What the suite is given: a test runner, and a factory that says what its targets can be asked for. */
import type { Capabilities, Target } from '../contract/target.js';

/** The part of a test runner that jest, vitest and node:test have in common. */
export interface TestRunner {
  readonly describe: (title: string, define: () => void) => unknown;
  readonly it: ((title: string, run: () => Promise<void>) => unknown) & {
    /** Reports what is left out; without it nothing says so. */
    readonly skip?: (title: string, run: () => Promise<void>) => unknown;
  };
  readonly beforeEach: (run: () => Promise<void>) => unknown;
  readonly afterEach: (run: () => Promise<void>) => unknown;
}

/**
 * Makes targets to test. What a factory leaves out, the suite leaves out: it never tries something to see whether it works.
 *
 * Every target that it makes is closed by the suite, and then given to `dispose`.
 */
export interface TargetFactory {
  /** A fresh target without regions, not open, on storage of its own, with room for 16 MiB. */
  create(): Target | Promise<Target>;

  /**
   * The same with a capacity of about `capacityBytes`; the tests go by what its `stats()` say. Without it nothing is tested of
   * what happens when space runs out.
   */
  createBounded?(capacityBytes: number): Target | Promise<Target>;

  /**
   * The same as `create`, made with a pool id of 8 bytes: that of the context which a backend is given. Without it nothing is tested
   * of importable targets but what they list.
   */
  createImporting?(poolId: Uint8Array): Target | Promise<Target>;

  /**
   * A second target object, not open, over the storage of another one; over fresh storage if that was destroyed. The other one is
   * closed, except where the rule is that nobody else may open what it has open.
   * For a remote target its server is to be started anew before.
   * Without it recovery is tested only by opening the same object again, and of `destroy` not whether it deleted the data.
   */
  reopen?(target: Target): Target | Promise<Target>;

  /**
   * A target object, not open, over what is left of the storage of an open target if its process is killed now: over a copy of its
   * files as they are at this moment, for instance. Nothing may be flushed or closed for it, and the target that is open stays so.
   * Without it nothing is tested of crashes.
   */
  crash?(target: Target): Target | Promise<Target>;

  /**
   * What is durable is made so by `fsync` or `fdatasync` of Node's fs, and the calls that promise it must ask for one and wait for it.
   * Without it nothing is tested of that: a kill does not show whether the kernel was asked.
   */
  readonly syncsByNode?: boolean;

  /** The storage may be open twice at a time; false unless told, and then a second `open` must fail with POOL_IN_USE. */
  readonly isShared?: boolean;

  /** Gives back what belongs to a target: files, servers. */
  dispose?(target: Target): void | Promise<void>;

  /** Bytes of space that a region of `size` bytes uses, where that is more than its size. */
  spaceOf?(size: number): number;

  /** Largest region that the tests may make; they make sparse ones of a little more than 4 GiB unless this says less. */
  readonly maxRegionBytes?: number;

  /**
   * Calls travel to a server; false unless told. Then open and close are of the connection alone, `destroy` and `map` are
   * NOT_SUPPORTED, calls made at once arrive in any order, and what follows a broken call may be seen a moment later.
   */
  readonly isRemote?: boolean;
}

/** What the rules of the contract depend on. */
export interface Setting {
  readonly factory: TargetFactory;
  readonly capabilities: Capabilities;
  readonly isRemote: boolean;
  /** Whether targets with a given capacity can be had. */
  readonly isBounded: boolean;
  readonly maxRegionBytes: number;
}

export function settingOf(factory: TargetFactory, capabilities: Capabilities): Setting {
  return {
    factory,
    capabilities,
    isRemote: factory.isRemote ?? false,
    isBounded: factory.createBounded !== undefined,
    maxRegionBytes: factory.maxRegionBytes ?? Number.MAX_SAFE_INTEGER,
  };
}
