/**
 * Classes whose instances are recognized across copies of this package.
 *
 * A library may have its own copy of this package in its node_modules. Region IDs and errors travel
 * between the library and the daemon, so each copy must recognize the instances of the other.
 */

/** Makes `instanceof` use a name that all copies share. Derived classes keep the usual meaning. */
export function brand(Class: { readonly prototype: object }, name: string): void {
  const mark = Symbol.for(name);
  Object.defineProperty(Class.prototype, mark, { value: true });
  Object.defineProperty(Class, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (typeof value !== 'object' || value === null) return false;
      try {
        return this === Class ? mark in value : ordinaryHasInstance.call(this, value);
      } catch {
        // A revoked proxy, or one that throws.
        return false;
      }
    },
  });
}

const ordinaryHasInstance = Function.prototype[Symbol.hasInstance] as (
  this: unknown,
  value: unknown,
) => boolean;
