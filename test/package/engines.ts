/** Whether a package runs on the oldest Node.js version that ours is for, by the `engines` line of its manifest. */
import { createRequire } from 'node:module';

export const OLDEST_NODE = '20.19.0';

const { satisfies } = createRequire(import.meta.url)('semver') as {
  satisfies: (version: string, range: string) => boolean;
};

/** @param range nothing where a package does not say */
export function admits(range: string | undefined): boolean {
  return range === undefined || satisfies(OLDEST_NODE, range);
}
