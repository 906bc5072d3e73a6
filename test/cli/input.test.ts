/** Contents out of a named pipe, whose writer may never come. */
import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openContents } from '../../core/cli/input.js';
import { MAIN, ONE_STORE, end, launch, startDaemon, type Running } from '../fixtures/run-command.js';

let home: string;
let pipe: string;
let running: Running;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-input-'));
  pipe = path.join(home, 'pipe');
  execFileSync('mkfifo', [pipe]);
  running = await startDaemon(ONE_STORE);
});
afterAll(async () => {
  await running.daemon.close();
  await rm(home, { recursive: true });
});

async function bytesOf(file: string, size: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await openContents(file, size)).source) pieces.push(piece);
  return Buffer.concat(pieces);
}

it('a pipe gives what its writer writes, whenever that comes, to its end', async () => {
  const bytes = Buffer.alloc(2 ** 20, 'x');
  const read = bytesOf(pipe, bytes.length);
  await writeFile(pipe, bytes);
  expect((await read).equals(bytes)).toBe(true);
  const early = writeFile(pipe, 'early');
  expect((await bytesOf(pipe, 5)).toString()).toBe('early');
  await early;
});

it('a pipe that nobody writes to holds up no command that is ended', async () => {
  const child = launch(process.execPath, [MAIN, 'region', 'create', pipe, '--size', '5'], running);
  const ended = end(child);
  // It can be opened like this when somebody reads it.
  let writer: FileHandle | undefined;
  while (writer === undefined) {
    expect(child.exitCode).toBeNull();
    writer = await open(pipe, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
    await delay(10);
  }
  child.kill('SIGINT');
  expect((await ended).status).toBe(130);
  await writer.close();
});
