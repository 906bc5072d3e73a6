/** Which folder the relative paths of a configuration count from. */
import { expect } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readConfigFile } from '../../core/config/document.js';
import { needs } from '../fixtures/needs.js';

needs('/dev/shm', existsSync('/dev/shm')).it('takes a file in /dev/shm for one of a folder', async () => {
  const home = await mkdtemp('/dev/shm/bedrock-document-');
  try {
    const file = path.join(home, 'bedrock.json');
    await writeFile(file, '{}');
    expect((await readConfigFile(file)).directory).toBe(home);
  } finally {
    await rm(home, { recursive: true });
  }
});
