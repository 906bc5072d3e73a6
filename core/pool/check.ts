/**
 * A check of a pool: the findings of an inspection, and notes on facts that are worth knowing
 * although nothing is wrong.
 */
import { findingsOf, findingsOfHeaders, type Finding } from './findings.js';
import { KNOWN_FEATURES, unknownOf } from './header.js';
import type { Inspection } from './inspection.js';

/** Yields findings if, and only if, an open would log one or quarantine something. */
export function* checkPool(inspection: Inspection): Generator<Finding> {
  const { headers, fileBytes } = inspection;
  if ('refusal' in headers) yield* findingsOfHeaders(inspection, headers.refusal.message);
  else yield* findingsOf({ ...headers, fileBytes });
}

/** What an open does not report. */
export function notesOf({ headers }: Inspection): string[] {
  if ('refusal' in headers) return [];
  const { choice, recovery, names, journal, log, excess, reservedInUse } = headers;
  const { features } = choice.header;
  const notes: string[] = [];
  if (choice.rewrite !== undefined && choice.damage === undefined)
    notes.push(`header copy ${choice.rewrite} is older, as after a crash; the next open makes both equal`);
  if (excess !== undefined)
    notes.push(
      `there are bytes that are not zero ${excess < choice.header.capacity ? 'where the pool has stored nothing' : `after the capacity of ${choice.header.capacity}`}, ` +
        `from ${excess} on, such as those of a newer pool that a backup was written over; they belong to no region, and become zeros before a region gets them`,
    );
  if (reservedInUse > 0 && unknownOf(features.compatible, KNOWN_FEATURES.compatible) === 0)
    notes.push(`${reservedInUse} descriptors have something in reserved bytes, which this version ignores`);
  if (log !== undefined && log.records > 0)
    notes.push(
      `the log has ${log.records} records that are not stored in their places, as after a crash; the next open stores them`,
    );
  if (journal?.pending !== undefined)
    notes.push(
      `a change of ${journal.pending.length} parts was committed and is not complete, as after a crash; the next open completes it`,
    );
  if (names.replaced.length > 0)
    notes.push(
      `${names.replaced.length} regions have the name of a newer one that has replaced them, as after a crash; the next open ends them`,
    );
  if (recovery.quarantined.has('unreadable'))
    notes.push(
      'while descriptors cannot be read no space counts as free: nothing can be created until repair',
    );
  return notes;
}
