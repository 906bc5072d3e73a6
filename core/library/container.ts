/** The contents of the dependency-injection container. */
import 'reflect-metadata';
import { Container } from 'inversify';
import { Registry as MetricsRegistry } from 'prom-client';
import { type Clock, soundClock, systemClock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';
import { TOKENS } from './tokens.js';

export interface ContainerParts {
  logger: Logger;
  clock?: Clock;
}

/** A container for one daemon, with its own metrics registry. */
export function createContainer({ logger, clock = systemClock }: ContainerParts): Container {
  const container = new Container({ defaultScope: 'Singleton' });
  const metrics = new MetricsRegistry();
  container.bind<Logger>(TOKENS.Logger).toConstantValue(logger);
  container.bind<Clock>(TOKENS.Clock).toConstantValue(soundClock(clock));
  container.bind<MetricsRegistry>(TOKENS.Metrics).toConstantValue(metrics);
  return container;
}
