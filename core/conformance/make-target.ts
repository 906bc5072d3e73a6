/** Targets to test, made as the daemon makes them: settings validated by the backend's schema, its defaults filled in. */
import { Registry as MetricsRegistry } from 'prom-client';
import { systemClock } from '../base/clock.js';
import { BedrockError } from '../base/errors.js';
import { createLogger } from '../base/logging.js';
import type { BackendContext, BackendDefinition } from '../contract/definitions.js';
import type { Target } from '../contract/target.js';
import { judgeSettings, makeTarget as makeByRecipe } from '../library/make-target.js';
import { LabelledMetrics } from '../runtime/provider-metrics.js';
import { formatPath } from '../validation/issues.js';
import { compileSchema } from '../validation/schema.js';

/**
 * A target of a backend, not open.
 * @param config what would stand under the target's `config`
 * @param context what the daemon would give; unless told: no log, no dependencies, paths from the working directory
 * @throws CONFIG_INVALID, whatever `create` of the backend throws
 */
export async function makeTarget(
  backend: BackendDefinition,
  config: Record<string, unknown> = {},
  context: Partial<BackendContext> = {},
): Promise<Target> {
  const settings = structuredClone(config);
  const { faults } = judgeSettings({ definition: backend, check: compileSchema(backend.schema) }, settings);
  if (faults.length > 0) {
    const list = faults.map(({ path, message }) => `${formatPath(path)}: ${message}`).join('; ');
    throw new BedrockError('CONFIG_INVALID', `the backend "${backend.type}" refuses these settings: ${list}`);
  }
  return makeByRecipe(backend, settings, {
    providerName: 'test',
    providerId: 1,
    tags: [],
    logger: createLogger({ level: 'off', format: 'text' }),
    clock: systemClock,
    metrics: new LabelledMetrics(new MetricsRegistry(), 'test'),
    dependencies: {},
    baseDirectory: process.cwd(),
    ...context,
  });
}
