/**
 * FROM and TO of `bedrock pool copy`: `[TYPE:]PATH`, or `TYPE:{…}` with the settings of the type,
 * which are checked like those of a daemon.
 */
import type { Container } from 'inversify';
import type { Registry as MetricsRegistry } from 'prom-client';
import { systemClock } from '../base/clock.js';
import { BedrockError, messageOf } from '../base/errors.js';
import { createLogger, type Logger } from '../base/logging.js';
import type { BackendContext, BackendDefinition } from '../contract/definitions.js';
import type { Target } from '../contract/target.js';
import { createContainer } from '../library/container.js';
import { TOKENS } from '../library/tokens.js';
import { LibraryLoader } from '../library/library.js';
import { judgeSettings, makeTarget } from '../library/make-target.js';
import { type Registered, TypeRegistry } from '../library/registry.js';
import { LabelledMetrics } from '../runtime/provider-metrics.js';
import { formatPath } from '../validation/issues.js';
import { readSchema } from '../validation/schema.js';
import { UsageError } from './failure.js';

/** The same as a daemon's. */
const LIBRARY_TIMEOUT_MS = 30_000;
const DEFAULT_TYPE = 'file';
const WITH_TYPE = /^([A-Za-z_][\w.-]*):(.*)$/s;

export type Settings = Record<string, unknown>;

export interface CopySide {
  readonly type: string;
  /** As given, not yet validated. */
  readonly settings: Settings;
  readonly backend: Registered<BackendDefinition>;
  /** Whether its type has a setting of this name. */
  has(setting: string): boolean;
}

/** The backends of the libraries. */
export class Backends {
  private constructor(
    private readonly container: Container,
    private readonly logger: Logger,
    private readonly registry: TypeRegistry,
  ) {}

  /** @throws LIBRARY_LOAD_FAILED */
  static async open(libraries: readonly string[]): Promise<Backends> {
    const logger = createLogger({ level: 'warning', format: 'text', stream: process.stderr });
    const container = createContainer({ logger });
    const loader = new LibraryLoader(logger);
    const loaded = [...(await loader.loadBuiltIns(container))];
    for (const library of libraries)
      loaded.push(await loader.load(library, process.cwd(), container, { timeoutMs: LIBRARY_TIMEOUT_MS }));
    const registry = new TypeRegistry();
    for (const library of loaded) {
      const refused = registry.addLibrary(library);
      if (refused !== undefined) throw refused;
    }
    return new Backends(container, logger, registry);
  }

  /** @throws UsageError */
  side(text: string): CopySide {
    const [, type = DEFAULT_TYPE, rest = text] = WITH_TYPE.exec(text) ?? [];
    const backend = this.registry.backend(type);
    if (backend === undefined) {
      const unknown = this.registry.unknown('backend', type);
      throw new UsageError(`${unknown} (write a path that begins like a type as ./${text})`);
    }
    const { type: ownType, schema } = backend.definition;
    const { properties = {} } = (schema instanceof URL ? readSchema(schema) : schema) as {
      properties?: object;
    };
    return {
      type: ownType,
      settings: rest.startsWith('{') ? settingsOf(text, rest) : pathOf(text, rest),
      backend,
      has: (setting) => setting in properties,
    };
  }

  /** Settings with their defaults. @throws UsageError */
  validated({ type, backend }: CopySide, settings: Settings): Settings {
    const { value, faults } = judgeSettings(backend, settings);
    if (faults.length === 0) return value;
    const list = faults.map(({ path, message }) => `${formatPath(path)}: ${message}`).join('; ');
    throw new UsageError(`the settings of "${type}" are wrong: ${list}`);
  }

  /** A target, not yet open. @throws NOT_SUPPORTED */
  async make(
    { type, backend: { definition } }: CopySide,
    settings: Settings,
    role: 'FROM' | 'TO',
    poolId?: Uint8Array,
  ): Promise<Target> {
    if (!definition.capabilities.importable) {
      const why =
        role === 'FROM' ? 'does not report which IDs it has used' : 'cannot import regions under their IDs';
      throw new BedrockError('NOT_SUPPORTED', `${role} is of the type "${type}", which ${why}`);
    }
    if (definition.dependencies?.some(({ required = true }) => required) === true)
      throw new BedrockError(
        'NOT_SUPPORTED',
        `${role} is of the type "${type}", which needs other providers`,
      );
    const context: BackendContext = {
      providerName: role,
      providerId: 0,
      tags: [],
      logger: this.logger.child({ component: role }),
      clock: systemClock,
      metrics: new LabelledMetrics(this.container.get<MetricsRegistry>(TOKENS.Metrics), role),
      dependencies: {},
      baseDirectory: process.cwd(),
      ...(poolId !== undefined && { poolId }),
    };
    return makeTarget(definition, settings, context);
  }
}

function pathOf(text: string, path: string): Settings {
  if (path === '') throw new UsageError(`"${text}" names no path`);
  return { path };
}

function settingsOf(text: string, json: string): Settings {
  try {
    return JSON.parse(json) as Settings;
  } catch (error) {
    throw new UsageError(`the settings in "${text}" are not JSON: ${messageOf(error)}`);
  }
}
