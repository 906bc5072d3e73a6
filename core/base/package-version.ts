/** The version of this package, from its package.json. */
import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  // Three folders up when compiled (dist/core/base), two in the sources.
  for (const candidate of ['../../../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(candidate, import.meta.url), 'utf8')) as {
        name: string;
        version: string;
      };
      if (found.name === 'bedrock-node') return found.version;
    } catch {
      // Not there: try the other path.
    }
  }
  return 'unknown';
}
