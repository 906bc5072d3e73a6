/** How the commands that look after pools say things: counts in words, and JSON documents that may be long. */

/** `1 region`, `2 regions`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** One JSON object in pieces, the last member of which is a list that need never be in memory as a whole. */
export function* jsonDocument(
  members: Record<string, unknown>,
  list: string,
  items: Iterable<unknown>,
): Generator<string> {
  const head = JSON.stringify(members).slice(0, -1);
  yield `${head}${head === '{' ? '' : ','}${JSON.stringify(list)}:[`;
  let isFirst = true;
  for (const item of items) {
    yield `${isFirst ? '' : ','}${JSON.stringify(item)}`;
    isFirst = false;
  }
  yield ']}\n';
}
