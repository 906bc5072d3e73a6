/**
 * JSON as it is sent: one line with a line break at its end, so that a shell prompt appears below
 * the output of curl.
 *
 * Code that announces the length must count this text.
 */

export const JSON_TYPE = 'application/json; charset=utf-8';

/** @returns undefined for a value that has no JSON form, such as a function */
export function jsonText(value: unknown): string | undefined {
  // The declared type of JSON.stringify omits undefined.
  const stringify: (value: unknown) => string | undefined = JSON.stringify;
  const text = stringify(value);
  return text === undefined ? undefined : `${text}\n`;
}
