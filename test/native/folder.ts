/** A temporary folder for each test of a file. */
import { afterEach, beforeEach } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** @returns the path of a file in the current test's folder */
export function useFolder(parent = tmpdir()): (name: string) => string {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(parent, 'bedrock-native-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return (name) => path.join(folder, name);
}
