/**
 * Classes whose instances are known across copies of this package.
 *
 * A library may have a copy of its own below its node_modules. Region IDs and errors travel between it and the daemon, so to both
 * copies an instance of the one is an instance of the other.
 */

/** Makes `instanceof` go by a name that all copies share. Classes derived from it keep their own meaning. */
export function brand(Class: { readonly prototype: object }, name: string): void {
  const mark = Symbol.for(name);
  Object.defineProperty(Class.prototype, mark, { value: true });
  Object.defineProperty(Class, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (typeof value !== 'object' || value === null) return false;
      try {
        return this === Class ? mark in value : ordinaryHasInstance.call(this, value);
      } catch {
        // A proxy that was revoked, or that does not say.
        return false;
      }
    },
  });
}

const ordinaryHasInstance = Function.prototype[Symbol.hasInstance] as (
  this: unknown,
  value: unknown,
) => boolean;
