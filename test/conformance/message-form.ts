/**
 * The form that every failure of the suite has: the rule, what was looked at, what was found, what
 * was expected.
 */
import { expect } from '@jest/globals';

const FINDING = /^\S.*: found \S[^]*, expected \S[^]*$/;

/** @param title of the test, `group: title` */
export function expectInForm(title: string, failure: unknown): void {
  const { message, cause } = failure as Error;
  const [subject, rule] = [title.slice(0, title.indexOf(': ')), title.slice(title.indexOf(': ') + 2)];
  const head = `the contract is broken: ${subject}: a target ${rule}\n`;
  expect(message.slice(0, head.length)).toBe(head);
  expect(message.slice(head.length)).toMatch(FINDING);
  expect(cause).toBeDefined();
}

/** The same of what comes from around a rule: making a target, closing it. */
export function expectStepInForm(failure: unknown): void {
  const { message, cause } = failure as Error;
  const head = 'the contract is broken: ';
  expect(message.slice(0, head.length)).toBe(head);
  expect(message.slice(head.length)).toMatch(FINDING);
  expect(cause).toBeDefined();
}
