/**
 * What SIGHUP does: the log is opened again, the tokens and the certificates are read again, and so
 * is the configuration if its file has changed. Each result is logged. Nothing here throws: after a
 * failure, the daemon continues with what it had.
 */
import { asBedrockError, messageOf } from '../base/errors.js';
import type { LogFile } from '../base/log-file.js';
import type { Logger } from '../base/logging.js';
import type { Changes } from '../runtime/changes.js';
import type { Access } from '../security/access.js';
import { type AuditLog, DONE } from '../security/audit.js';
import type { Doors } from './doors.js';

const BY_SIGNAL = { door: 'signal', who: 'signal', from: 'SIGHUP', what: 'reload' };

interface HangUpParts {
  readonly logger: Logger;
  readonly changes: Changes;
  readonly logFile: LogFile | undefined;
  readonly access: Access | undefined;
  readonly audit: AuditLog | undefined;
  readonly doors: Doors | undefined;
}

export class HangUp {
  readonly #parts: HangUpParts;
  #isReloadAhead = false;

  constructor(parts: HangUpParts) {
    this.#parts = parts;
  }

  async run(): Promise<void> {
    const { access, audit, changes, doors, logger } = this.#parts;
    await Promise.all([this.reopenLog(), audit?.reopen(), access?.reload()]);
    await doors?.renewCertificates();
    // A reload that has not begun yet will see every earlier change of the file, so one is enough.
    if (this.#isReloadAhead || changes.origin.file === undefined) return;
    this.#isReloadAhead = true;
    try {
      const isDone = await changes.reload({
        mustDiffer: true,
        whenBegun: () => (this.#isReloadAhead = false),
      });
      if (isDone) {
        logger.info(`the configuration was read again: ${changes.origin.file.path}`);
        audit?.record({ ...BY_SIGNAL, outcome: DONE });
      }
    } catch (error) {
      audit?.record({ ...BY_SIGNAL, outcome: asBedrockError(error).code });
      logger.error(`the configuration stays as it was: ${messageOf(error)}`);
    } finally {
      this.#isReloadAhead = false;
    }
  }

  async reopenLog(): Promise<void> {
    const { logFile: file, logger } = this.#parts;
    if (file === undefined) {
      logger.info('there is no bedrock.log.file to open again');
      return;
    }
    try {
      const fault = await file.reopen();
      logger.info(`the log was reopened: ${file.path}`);
      if (fault !== undefined)
        logger.warning(`the previous file of the log was not closed cleanly, and may lack lines: ${fault}`);
    } catch (error) {
      logger.error(`the log cannot be reopened, and continues in the old file: ${messageOf(error)}`);
    }
  }
}
