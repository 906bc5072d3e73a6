/** Opens and closes what checks and records the clients of a daemon: the tokens (`bedrock.auth`) and the audit log (`bedrock.audit`). */
import type { Container } from 'inversify';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';
import type { Resolution } from '../config/resolve.js';
import { TOKENS } from '../library/tokens.js';
import { readPeerCredentials } from '../net/peer-users.js';
import { Access } from '../security/access.js';
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
export async function openGuards(parts: GuardsParts): Promise<Guards> {
  const access = await openAccess(parts);
  try {
    return { access, audit: await openAudit(parts) };
  } catch (error) {
    access?.close();
    throw error;
  }
}

export async function closeGuards({ access, audit }: Guards): Promise<void> {
  access?.close();
  await audit?.close();
}

/** @throws START_FAILED */
async function openAudit({ container, resolution }: GuardsParts): Promise<AuditLog | undefined> {
  const { audit } = resolution.config.settings;
  return (
    audit &&
    AuditLog.open({
      file: audit.file,
      clock: container.get<Clock>(TOKENS.Clock),
      logger: container.get<Logger>(TOKENS.Logger),
    })
  );
}

/** @throws CONFIG_INVALID */
async function openAccess({ container, resolution }: GuardsParts): Promise<Access | undefined> {
  const { auth } = resolution.config.settings;
  return (
    auth &&
    Access.open({
      tokens: auth.tokens,
      connections: new SocketIdentities(
        auth.certificates,
        auth.peers,
        auth.peers && (await readPeerCredentials('bedrock.auth.peers')),
      ),
      clock: container.get<Clock>(TOKENS.Clock),
      logger: container.get<Logger>(TOKENS.Logger),
    })
  );
}
