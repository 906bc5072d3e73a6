/**
 * Opens and closes what checks and records the clients of a daemon: the tokens (`bedrock.auth`) and
 * the audit log (`bedrock.audit`).
 */
import type { Container } from 'inversify';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';
import type { Resolution } from '../config/resolve.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import { TOKENS } from '../library/tokens.js';
import { readPeerCredentials } from '../net/peer-users.js';
import { Access, type AccessOptions } from '../security/access.js';
import { AuditLog } from '../security/audit.js';
import { SocketIdentities } from '../security/socket-identities.js';

/** What checks and records the clients of a daemon. */
export interface Guards {
  /** The clients that may use it; undefined: everybody. */
  readonly access?: Access | undefined;
  readonly audit?: AuditLog | undefined;
}

interface GuardsParts {
  readonly container: Container;
  readonly resolution: Resolution;
}

/** @throws CONFIG_INVALID, START_FAILED */
export async function openGuards({ container, resolution }: GuardsParts): Promise<Guards> {
  const { auth, audit } = resolution.config.settings;
  const clock = container.get<Clock>(TOKENS.Clock);
  const logger = container.get<Logger>(TOKENS.Logger);
  const access = auth && (await openAccess(auth, { clock, logger }));
  try {
    return { access, audit: audit && (await AuditLog.open({ file: audit.file, clock, logger })) };
  } catch (error) {
    access?.close();
    throw error;
  }
}

export async function closeGuards({ access, audit }: Guards): Promise<void> {
  access?.close();
  await audit?.close();
}

/** @throws CONFIG_INVALID, START_FAILED */
async function openAccess(
  { tokens, certificates, peers }: NonNullable<DaemonSettings['auth']>,
  around: Pick<AccessOptions, 'clock' | 'logger'>,
): Promise<Access> {
  const credentials = peers && (await readPeerCredentials('bedrock.auth.peers'));
  const connections = new SocketIdentities(certificates, peers, credentials);
  return Access.open({ tokens, connections, ...around });
}
