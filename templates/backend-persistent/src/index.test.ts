/** The contract of a target, held by the suite of bedrock-node. `npm test` runs it with Node's own test runner. */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Target } from 'bedrock-node';
import { describeTarget, makeTarget } from 'bedrock-node/conformance';
import backend from './index.js';

/** What each target was made with. */
const made = new Map<Target, { folder: string; max_bytes: number }>();

const makeFolder = () => mkdtemp(path.join(tmpdir(), 'sample-'));

async function make(folder: string, max_bytes: number): Promise<Target> {
  const target = await makeTarget(backend, { path: path.join(folder, 'data'), max_bytes });
  made.set(target, { folder, max_bytes });
  return target;
}

function madeWith(target: Target): { folder: string; max_bytes: number } {
  const found = made.get(target);
  if (found === undefined) throw new Error('a target that was not made here');
  return found;
}

/**
 * Copies a folder as it is at one moment. Nothing begins meanwhile, but calls of the system that have begun may end: then it is
 * copied again.
 */
function copyNow(folder: string, to: string): void {
  for (;;) {
    const before = filesIn(folder);
    try {
      cpSync(folder, to, { recursive: true });
      if (filesIn(folder) === before) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    rmSync(to, { recursive: true });
  }
}

function filesIn(folder: string): string {
  return readdirSync(folder, { recursive: true }).join('\n');
}

describeTarget(
  { describe, it, beforeEach, afterEach },
  {
    create: async () => make(await makeFolder(), 2 ** 40),
    createBounded: async (max_bytes) => make(await makeFolder(), max_bytes),
    reopen: (target) => make(madeWith(target).folder, madeWith(target).max_bytes),
    // What a kill leaves is what the files hold now.
    crash: async (target) => {
      const { folder, max_bytes } = madeWith(target);
      const copy = await makeFolder();
      copyNow(folder, copy);
      return make(copy, max_bytes);
    },
    // Every promise of durability waits for an fsync: the suite looks.
    syncsByNode: true,
    dispose: (target) => rm(madeWith(target).folder, { recursive: true, force: true }),
  },
  backend.capabilities,
);
