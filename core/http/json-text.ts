/**
 * JSON as it goes out: one line, with its end, so that the prompt of a shell stands below what curl prints.
 *
 * Whoever announces the length counts the text that this gives.
 */

/** @returns nothing for what JSON has no form for, such as a function */
export function jsonText(value: unknown): string | undefined {
  // Its type does not tell that it may give nothing.
  const stringify: (value: unknown) => string | undefined = JSON.stringify;
  const text = stringify(value);
  return text === undefined ? undefined : `${text}\n`;
}
