/** What is known of anything that was thrown, whatever it is. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  asBedrockError,
  BedrockError,
  ERROR_CODES,
  explain,
  failureRecord,
  messageOf,
} from '../../core/base/errors.js';
import { plainOf } from '../../core/base/plain.js';
import { thrownValues } from '../fixtures/thrown-values.js';

describe('anything that was thrown', () => {
  it('becomes an error of the table that can be sent, a message, and a record for the log', () => {
    fc.assert(
      fc.property(thrownValues, (make) => {
        const thrown = make();
        const error = asBedrockError(thrown);
        expect(Object.keys(ERROR_CODES)).toContain(error.code);
        expect(error.status).toBe(ERROR_CODES[error.code].status);
        expect(error.message.length).toBeLessThan(2 ** 14);
        const { length } = JSON.stringify({ message: error.message, details: error.details });
        expect(length).toBeLessThan(2 ** 20);
        expect(asBedrockError(error)).toMatchObject({ code: error.code, message: error.message });
        expect(typeof messageOf(thrown)).toBe('string');
        expect(explain(thrown).length).toBeLessThan(2 ** 15);
        expect(['string', 'undefined']).toContain(typeof failureRecord(error).stack);
      }),
      { numRuns: 500 },
    );
  });

  it.each([[undefined], [null], [5]])('is told apart from a text: %j', (thrown) => {
    expect(messageOf(thrown)).not.toBe(messageOf(`${thrown}`));
  });

  it('stays what it is if it can be sent as it is', () => {
    const error = new BedrockError('OUT_OF_RANGE', 'too far', {
      details: { offset: 5, size: null, of: 'x' },
    });
    expect(asBedrockError(error)).toBe(error);
  });

  it('keeps its code and message, and of its details what JSON has a form for', () => {
    const details: Record<string, unknown> = {
      freeBytes: 512n,
      huge: 2n ** 70n,
      list: [1, { a: undefined }],
    };
    details.itself = details;
    Object.defineProperty(details, 'secret', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    });
    const error = asBedrockError(new BedrockError('OUT_OF_SPACE', 'full', { details }));
    expect(error).toMatchObject({ code: 'OUT_OF_SPACE', message: 'full' });
    expect(error.details).toEqual({
      freeBytes: 512,
      huge: '1180591620717411303424',
      list: [1, {}],
      itself: '[circular]',
      secret: '[unreadable]',
    });
  });

  it('is INTERNAL with a code that the table does not have, and the log has the code', () => {
    const error = asBedrockError(new BedrockError('MY_OWN' as 'INTERNAL', 'mine'));
    expect(error.code).toBe('INTERNAL');
    expect(failureRecord(error).message).toBe('MY_OWN: mine');
  });

  it('tells its causes, each once', () => {
    const disk = Object.assign(new Error('the disk is gone'), { code: 'EIO' });
    const middle = new Error('the pool did not close: the disk is gone', { cause: disk });
    const outer = new BedrockError('INTERNAL', 'a target did not close', { cause: middle });
    disk.cause = outer;
    expect(explain(outer)).toBe(
      'a target did not close; the cause: the pool did not close: the disk is gone; the cause: EIO: the disk is gone',
    );
  });
});

it('a plain copy is bounded in members, characters and depth', () => {
  const values = plainOf({ list: Array.from({ length: 100_000 }, (_, index) => index) });
  expect(JSON.stringify(values).length).toBeLessThan(100_000);
  const characters = plainOf(Array.from({ length: 100 }, () => 'x'.repeat(10_000)));
  expect(JSON.stringify(characters).length).toBeLessThan(100_000);
  expect(plainOf([[[[1]]]], { depth: 2 })).toEqual([['[deeper]']]);
});
