/**
 * What must not outlive the benchmarks, however they end: folders that may lie in the machine's
 * memory, and servers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

const folders = new Set();
const children = new Set();

/** Makes a folder of a name of its own. */
export function makeFolder(parent) {
  const folder = mkdtempSync(path.join(parent, 'bedrock-bench-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Notes a process that would not end by itself. */
export function noteChild(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) removeFolder(folder);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
