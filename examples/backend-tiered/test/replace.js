/** A target's method, as it was and as it is to be. @param {any} target @param {string} name @param {(...args: any[]) => any} replacement */
export function replace(target, name, replacement) {
  const original = target[name].bind(target);
  target[name] = (/** @type {any[]} */ ...args) => replacement(original, ...args);
  return () => void delete target[name];
}
