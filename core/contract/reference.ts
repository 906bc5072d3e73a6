/**
 * References in `dependencies`, in Bedrock's forms: `name`, `name@local`, `type:id`,
 * `type:id@local`, and the same with the address of another daemon instead of `local`.
 */

export interface Reference {
  readonly target: { readonly name: string } | { readonly type: string; readonly providerId: number };
  /** `local`, or the address of another daemon. */
  readonly location: string;
}

const REFERENCE = /^(?<name>[^\s:@]+)(?::(?<id>\d+))?(?:@(?<location>\S+))?$/;

/** @returns undefined if the text is not a reference */
export function parseReference(text: string): Reference | undefined {
  const groups = REFERENCE.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const { name = '', id, location = 'local' } = groups;
  const target = id === undefined ? { name } : { type: name, providerId: Number(id) };
  return { target, location };
}
