/**
 * Checks of a configuration: whether a daemon would accept it, the files and addresses that it
 * names, and its targets, by the checks of their backends. It opens nothing but files, for reading.
 */
import { X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, messageOf } from '../base/errors.js';
import { propertyOf } from '../base/plain.js';
import { withCure } from '../base/system-cure.js';
import { readConfigFile } from '../config/document.js';
import type { ResolvedConfig, ResolvedTarget } from '../config/resolved-config.js';
import { resolveDocument } from '../daemon/preparation.js';
import { type Diagnosis, ok, problem, warning } from '../contract/diagnosis.js';
import { ownerOfPort } from '../net/socket-owner.js';
import { type ConfigIssue, formatIssue } from '../validation/issues.js';
import type { Check } from './checks.js';

const DAY_MS = 86_400_000;
/** A certificate that ends sooner should be renewed. */
const RENEW_MS = 14 * DAY_MS;

/**
 * Reads the configuration, which may load its libraries.
 * @returns what was found, and the checks of what it names
 */
export async function openConfig(
  file: string,
  systemRoot: string,
  signal: AbortSignal,
): Promise<{ findings: Diagnosis[]; checks: Check[] }> {
  let config: ResolvedConfig;
  try {
    config = await resolveDocument(await readConfigFile(file), signal);
  } catch (error) {
    return { findings: faultsOf(file, error), checks: [] };
  }
  const warnings = config.warnings.map((text) => warning('configuration', text));
  const findings = [ok('configuration', `${file}: a daemon accepts it`), ...warnings];
  return { findings, checks: [...filesOf(config), ...addressesOf(config), ...targetsOf(config, systemRoot)] };
}

function faultsOf(file: string, error: unknown): Diagnosis[] {
  if (!(error instanceof BedrockError)) throw error;
  const issues = propertyOf(error.details, 'issues');
  const texts =
    Array.isArray(issues) && issues.length > 0
      ? issues.map((issue) => formatIssue(file, issue as ConfigIssue))
      : [error.message.includes(file) ? error.message : `${file}: ${error.message}`];
  return texts.map((text) =>
    problem('configuration', text, 'correct it; bedrock start --check tries it again'),
  );
}

// ---- files ----

function filesOf({ settings }: ResolvedConfig): Check[] {
  const checks: Check[] = [];
  const add = (name: string, run: () => Promise<Diagnosis>): void => {
    checks.push({ name, run: async () => [await run()] });
  };
  const { log, audit, auth, tls, remote_tls: remote, group_file: group } = settings;
  if (log.file !== undefined) add('log', () => writable('log', log.file ?? ''));
  if (audit !== undefined) add('audit log', () => writable('audit log', audit.file));
  if (group !== undefined) add('group file', () => writable('group file', group));
  if (auth !== undefined) add('tokens', () => readable('tokens', auth.tokens));
  for (const [name, section] of Object.entries({ tls, remote_tls: remote })) {
    const { cert, key } = section ?? {};
    if (cert !== undefined) add(name, () => certificate(name, cert));
    if (key !== undefined) add(name, () => readable(name, key));
  }
  return checks;
}

async function readable(check: string, file: string): Promise<Diagnosis> {
  try {
    await access(file, constants.R_OK);
    return ok(check, `${file} can be read`);
  } catch (error) {
    return problem(check, withCure(error));
  }
}

/** A file that may not exist yet. */
async function writable(check: string, file: string): Promise<Diagnosis> {
  try {
    const isThere = await stat(file).then(
      () => true,
      () => false,
    );
    await access(isThere ? file : path.dirname(file), constants.W_OK);
    return ok(check, `${file} can be written`);
  } catch (error) {
    return problem(check, withCure(error));
  }
}

async function certificate(check: string, file: string): Promise<Diagnosis> {
  let ends: Date;
  try {
    ends = new Date(new X509Certificate(await readFile(file)).validTo);
  } catch (error) {
    return problem(
      check,
      `${file}: ${messageOf(error)}`,
      'give a certificate in PEM that the daemon may read',
    );
  }
  const left = ends.getTime() - Date.now();
  const found = `the certificate ${file} ends ${ends.toISOString()}`;
  if (left <= 0) return problem(check, found, 'renew it');
  return left < RENEW_MS ? warning(check, found, 'renew it soon') : ok(check, found);
}

// ---- addresses ----

function addressesOf({ address, respAddress }: ResolvedConfig): Check[] {
  const checks: Check[] = [];
  const port = (name: string, number: number): void => {
    if (number !== 0) checks.push({ name, run: async () => [await portOf(name, number)] });
  };
  const socket = (name: string, file: string): void => {
    checks.push({ name, run: async () => [await writable(name, path.join(path.dirname(file), '.'))] });
  };
  if (address.kind === 'tcp') port('address', address.port);
  else socket('address', address.path);
  if (respAddress?.tcp !== undefined) port('resp address', respAddress.tcp.port);
  if (respAddress?.unix !== undefined) socket('resp address', respAddress.unix);
  return checks;
}

async function portOf(check: string, port: number): Promise<Diagnosis> {
  const owner = await ownerOfPort(port);
  if (owner === undefined) return ok(check, `no process is seen that listens at port ${port}`);
  return warning(
    check,
    `${owner} listens at port ${port}`,
    'nothing, if that is the daemon with this configuration; otherwise stop it, or choose another port',
  );
}

// ---- targets ----

function targetsOf({ providers, directory }: ResolvedConfig, systemRoot: string): Check[] {
  return providers.flatMap(({ name, targets }) =>
    targets.map((target, index) => {
      const label = targets.length > 1 ? `${name}.${index}` : name;
      return {
        name: label,
        run: (signal) => diagnose(label, name, target, { directory, systemRoot, signal }),
      };
    }),
  );
}

async function diagnose(
  label: string,
  providerName: string,
  { definition, config }: ResolvedTarget,
  { directory, systemRoot, signal }: { directory: string; systemRoot: string; signal: AbortSignal },
): Promise<Diagnosis[]> {
  if (definition.diagnose === undefined) return [ok(label, `the backend ${definition.type} has no checks`)];
  const given: unknown = await definition.diagnose(config, {
    providerName,
    baseDirectory: directory,
    systemRoot,
    signal,
  });
  if (!Array.isArray(given) || !given.every(isDiagnosis))
    return [problem(label, `the checks of the backend ${definition.type} gave no list of findings`)];
  return given.map((finding) => ({ ...finding, check: `${label}: ${finding.check}` }));
}

/** A library is not trusted. */
function isDiagnosis(given: unknown): given is Diagnosis {
  const { check, state, found, cure } = (given ?? {}) as Record<string, unknown>;
  return (
    typeof check === 'string' &&
    typeof found === 'string' &&
    ['ok', 'warning', 'problem'].includes(String(state)) &&
    (cure === undefined || typeof cure === 'string')
  );
}
