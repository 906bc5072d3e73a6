/** The tokens for the contents of the dependency-injection container. */
// Classes of libraries are decorated as they are loaded, maybe before there is a container.
import 'reflect-metadata';

/**
 * Service identifiers. Libraries use them in their ContainerModules. They are global symbols, so
 * that a library with its own copy of this package uses the same ones.
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
  /** {@link BackendDefinition}, one binding for each. */
  BackendDefinition: Symbol.for('bedrock-node.BackendDefinition'),
  /** {@link ProviderDefinition}, one binding for each. */
  ProviderDefinition: Symbol.for('bedrock-node.ProviderDefinition'),
} as const;
