import { describe, expect, it } from '@jest/globals';
import { withCure } from '../../core/base/system-cure.js';

const systemError = (code: string): Error => Object.assign(new Error(`${code}: refused`), { code });

describe('withCure', () => {
  it.each(['EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ENOTDIR', 'ENAMETOOLONG', 'ENOSPC', 'EDQUOT'])(
    'adds to the message of %s what the user can do',
    (code) => {
      expect(withCure(systemError(code)).length).toBeGreaterThan(systemError(code).message.length);
    },
  );

  it('leaves as it is what it knows no cure for', () => {
    expect(withCure(systemError('EUNKNOWN'))).toBe('EUNKNOWN: refused');
    expect(withCure('refused')).toBe('refused');
  });
});
