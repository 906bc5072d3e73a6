/** The real daemon under load, killed at any moment: what it had acknowledged is there when it runs again. */
import { describe, expect, it } from '@jest/globals';
import { runKillRounds, type KillKind } from '../fixtures/kill-rounds.js';

/** @param rounds for each kind of pool */
export function describeKills(kinds: readonly KillKind[], rounds: number): void {
  describe.each(kinds)('a daemon with a pool of the kind %s', (kind) => {
    it('keeps every acknowledged operation through kill -9', async () => {
      let done = 0;
      const seed = Math.floor(Math.random() * 2 ** 32);
      await runKillRounds({ kind, rounds, seed, onRound: () => done++ });
      expect(done).toBe(rounds);
    });
  });
}
