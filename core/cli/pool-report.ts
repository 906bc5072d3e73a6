/** Output of the commands for pools: JSON documents that may be long. */

/** A JSON object in pieces. Its last member is a list that need not be in memory completely. */
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
