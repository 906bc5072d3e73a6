/**
 * Creates targets to test in the same way as the daemon: settings are validated by the backend's
 * schema, and its defaults are filled in.
 */
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
 * @param config the target's `config` of a configuration
 * @param context what the daemon would pass. Default: no log, no dependencies, paths relative to
 *   the working directory
 * @throws CONFIG_INVALID, whatever `create` of the backend throws
 */
export async function makeTarget(
  backend: BackendDefinition,
  config: Record<string, unknown> = {},
  context: Partial<BackendContext> = {},
): Promise<Target> {
  const check = compileSchema(backend.schema);
  const { value: settings, faults } = judgeSettings({ definition: backend, check }, config);
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
