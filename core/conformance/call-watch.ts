/**
 * Watches the calls that a rule waits for. A call that never settles would block the rule without a
 * message. Here it is abandoned, and the pending calls are named. A wrapper around each target
 * forwards every call unchanged.
 */
import type { Target } from '../contract/target.js';
import { BrokenRule } from './findings.js';

type Call = (...given: unknown[]) => unknown;

export class CallWatch {
  readonly #unsettled = new Set<{ readonly name: string }>();
  readonly #inner = new Map<Target, Target>();
  #timer: NodeJS.Timeout | undefined;
  #isHanging = false;

  /** @param patienceMs how long no call may begin or settle, milliseconds */
  constructor(private readonly patienceMs: number) {}

  /** Whether something was abandoned: what it waits for may never come. */
  get isHanging(): boolean {
    return this.#isHanging;
  }

  /** A wrapper around a target whose calls are watched. */
  watched(target: Target): Target {
    const calls = new Map<string | symbol, [Call, Call]>();
    const seen = new Proxy(target, {
      get: (inner, key) => {
        const member: unknown = Reflect.get(inner, key, inner);
        if (typeof member !== 'function') return member;
        const [known, watched] = calls.get(key) ?? [];
        if (known === member) return watched;
        const call: Call = (...given) => this.noted(String(key), Reflect.apply(member, inner, given));
        calls.set(key, [member as Call, call]);
        return call;
      },
    });
    this.#inner.set(seen, target);
    return seen;
  }

  /** The target inside the wrapper, which its factory knows. */
  innerOf(target: Target): Target {
    return this.#inner.get(target) ?? target;
  }

  /** Registers the result of a call until it settles. @returns the result */
  noted<T>(name: string, result: T): T {
    if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
    const call = { name };
    this.#unsettled.add(call);
    this.#timer?.refresh();
    const settled = (): void => {
      this.#unsettled.delete(call);
      this.#timer?.refresh();
    };
    (result as PromiseLike<unknown>).then(settled, settled);
    return result;
  }

  /** Waits for work that makes such calls. @throws what the work throws; BrokenRule if it hangs */
  async until<T>(work: Promise<T>): Promise<T> {
    const hung = new Promise<never>((_resolve, reject) => {
      this.#timer = setTimeout(() => reject(this.giveUp()), this.patienceMs);
    });
    try {
      return await Promise.race([work, hung]);
    } finally {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  /** Stops waiting. @returns the explanation */
  giveUp(): BrokenRule {
    this.#isHanging = true;
    clearTimeout(this.#timer);
    const names = [...this.#unsettled].map(({ name }) => name);
    const [what, has] = names.length > 1 ? [names.join(' and '), 'they have'] : [names[0], 'it has'];
    return new BrokenRule(
      what ?? 'a call that this rule makes',
      `that ${has} not settled`,
      'each call to resolve or to be rejected',
    );
  }
}
