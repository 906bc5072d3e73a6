/** What the dependency-injection container holds, and the names to ask for it by. */
import 'reflect-metadata';
import { Container } from 'inversify';
import { Registry as MetricsRegistry } from 'prom-client';
import { type Clock, soundClock, systemClock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';

/**
 * Service identifiers. Libraries use them in their ContainerModules; the names are global symbols, so that a library with a
 * copy of this package of its own means the same ones.
 */
export const TOKENS = {
  /** {@link Logger} of the daemon. */
  Logger: Symbol.for('bedrock-node.Logger'),
  /** {@link Clock}. */
  Clock: Symbol.for('bedrock-node.Clock'),
  /** prom-client's Registry, served under /metrics. */
  Metrics: Symbol.for('bedrock-node.Metrics'),
  /** The resolved configuration; bound once the configuration is validated. */
  Config: Symbol.for('bedrock-node.Config'),
  /** {@link BackendDefinition}, one binding each. */
  BackendDefinition: Symbol.for('bedrock-node.BackendDefinition'),
  /** {@link ProviderDefinition}, one binding each. */
  ProviderDefinition: Symbol.for('bedrock-node.ProviderDefinition'),
} as const;

export interface ContainerParts {
  logger: Logger;
  clock?: Clock;
}

/** A container of one daemon, with a metrics registry of its own. */
export function createContainer({ logger, clock = systemClock }: ContainerParts): Container {
  const container = new Container({ defaultScope: 'Singleton' });
  const metrics = new MetricsRegistry();
  container.bind<Logger>(TOKENS.Logger).toConstantValue(logger);
  container.bind<Clock>(TOKENS.Clock).toConstantValue(soundClock(clock));
  container.bind<MetricsRegistry>(TOKENS.Metrics).toConstantValue(metrics);
  return container;
}
