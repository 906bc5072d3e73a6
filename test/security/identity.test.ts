import { describe, expect, it } from '@jest/globals';
import { Authority, type Grant, KNOWN, NEED } from '../../core/security/identity.js';

function authority(...grants: Grant[]): Authority {
  return new Authority({ kind: 'token', name: 'app', grants });
}

describe('an authority', () => {
  it('has of a scope all that the scopes before it have', () => {
    expect(authority({ scope: 'read' }).everywhere).toBe(KNOWN | NEED.read);
    expect(authority({ scope: 'write' }).everywhere).toBe(KNOWN | NEED.read | NEED.write);
    expect(authority({ scope: 'admin', provider: '*' }).everywhere).toBe(
      KNOWN | NEED.read | NEED.write | NEED.admin,
    );
    expect(authority().somewhere).toBe(KNOWN);
  });

  it('holds for the provider of its grant alone', () => {
    const one = authority({ scope: 'write', provider: 'orders' });
    expect(one.allows(NEED.write, 'orders')).toBe(true);
    expect(one.allows(NEED.admin, 'orders')).toBe(false);
    expect(one.allows(NEED.read, 'others')).toBe(false);
    expect(one.everywhere).toBe(KNOWN);
    expect(() => one.requireProvider(NEED.read, 'others')).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED', details: { scope: 'read', provider: 'others' } }),
    );
    expect(() => one.requireDaemon(NEED.read)).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED' }),
    );
  });

  it('with a prefix has the names below it, and no region by ID', () => {
    const one = authority({ scope: 'write', provider: 'orders', prefix: 'app/' });
    expect(one.allowsName(NEED.write, 'orders', 'app/1')).toBe(true);
    expect(one.allowsName(NEED.write, 'orders', 'other/1')).toBe(false);
    expect(one.allowsName(NEED.write, 'others', 'app/1')).toBe(false);
    expect(one.allows(NEED.read, 'orders')).toBe(false);
    expect(one.allowsSome(NEED.read, 'orders')).toBe(true);
    expect(() => one.requireName(NEED.read, 'orders', undefined)).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED' }),
    );
  });

  it('confines a listing to its prefix', () => {
    const one = authority({ scope: 'read', prefix: 'app/' });
    expect(one.confine(NEED.read, 'orders', '')).toBe('app/');
    expect(one.confine(NEED.read, 'orders', 'app/x')).toBe('app/x');
    expect(() => one.confine(NEED.read, 'orders', 'b')).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED' }),
    );
    const two = authority({ scope: 'read', prefix: 'a/' }, { scope: 'write', prefix: 'b/' });
    expect(() => two.confine(NEED.read, 'orders', '')).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED' }),
    );
    expect(two.confine(NEED.write, 'orders', '')).toBe('b/');
  });
});
