/** Files that commands write: a named pipe among them, whose reader may never come, or take nothing. */
import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeWholeFile } from '../../core/cli/output-file.js';

const PIECE = Buffer.alloc(2 ** 16, 'x');

let home: string;
let pipe: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-output-'));
  pipe = path.join(home, 'pipe');
  execFileSync('mkfifo', [pipe]);
});
afterAll(() => rm(home, { recursive: true }));

/** @param onPiece called before each piece of so many */
async function* pieces(count: number, onPiece: (index: number) => void = () => undefined) {
  for (let index = 0; index < count; index++) {
    onPiece(index);
    yield await Promise.resolve(PIECE);
  }
}

it('a pipe that nobody reads holds up no command that is ended', async () => {
  const ending = new AbortController();
  const written = writeWholeFile(pipe, pieces(1), ending.signal);
  setImmediate(() => ending.abort());
  await expect(written).rejects.toMatchObject({ name: 'AbortError' });
});

it('a pipe whose reader takes nothing holds up no command that is ended', async () => {
  const reader = await open(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const ending = new AbortController();
    const written = writeWholeFile(
      pipe,
      pieces(64, () => setImmediate(() => ending.abort())),
      ending.signal,
    );
    await expect(written).rejects.toMatchObject({ name: 'AbortError' });
  } finally {
    await reader.close();
  }
});

it('a pipe gets all that there is once it is read', async () => {
  const written = writeWholeFile(pipe, pieces(40), new AbortController().signal);
  const read = await readFile(pipe);
  await written;
  expect(read.equals(Buffer.concat(Array.from({ length: 40 }, () => PIECE)))).toBe(true);
});
