/** Plain files: one FileHandle, each write with a datasync of its own. */
import { open } from 'node:fs/promises';

const SPAN = 2 ** 25;

export async function openFiles(folder) {
  const file = await open(`${folder}/plain`, 'w+');
  const source = Buffer.alloc(2 ** 20, 7);
  for (let at = 0; at < SPAN; at += source.length) await file.write(source, 0, source.length, at);
  await file.sync();

  return {
    write: (size) => (index) => file.write(source, 0, size, (index * size) % SPAN),
    writeDurably: (size) => async (index) => {
      await file.write(source, 0, size, (index * size) % SPAN);
      await file.datasync();
    },
    read: (size) => (index) => file.read(Buffer.allocUnsafe(size), 0, size, (index * size) % SPAN),
    close: () => file.close(),
  };
}
