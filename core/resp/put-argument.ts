/**
 * Gives a name to a new region whose contents are an argument of the request: what SET and BLOB.PUT
 * have in common. If there is no space, slow clients may have to give way first.
 */
import type { PutOptions } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { ServedTarget } from '../runtime/served-target.js';
import { type CommandSession, type Run, WAIT } from './command.js';
import { RegionUse } from './conflicts.js';
import type { PendingReply } from './pipeline.js';

/** The argument with the contents. */
const CONTENTS = 2;

export function putArgument(
  session: CommandSession,
  served: ServedTarget,
  name: string,
  condition: PutOptions | undefined,
  answer: (id: RegionId, to: PendingReply) => void,
): ReturnType<Run> {
  const { target } = served;
  const use = new RegionUse(target, name, 0, Infinity, true);
  if (session.calls.conflicts(use)) return WAIT;
  const kept = session.memory.keep(CONTENTS);
  return session.calls.operate({
    operation: 'put',
    served,
    use,
    bytes: kept.bytes.length,
    kept,
    call: () => served.space.make(kept.bytes.length, () => target.put(name, kept.bytes, condition)),
    answer,
  });
}
