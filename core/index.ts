/** bedrock-node: the public interface, for programs that embed the daemon and for authors of backends and provider types. */
export { bootstrap, checkConfig } from './bootstrap.js';
export type { BootstrapOptions } from './bootstrap.js';
export { connect } from './client/connect.js';
export type { RemoteProvider, Service } from './client/service.js';
export type { RemoteProviderHandle } from './client/remote-provider.js';
export type { RemoteCall } from './client/transport.js';
export type { RemoteTarget } from './client/remote-target.js';
export type { CallOptions, ConnectOptions } from './client/call-options.js';
export type { Clock } from './clock.js';
export { TOKENS } from './container.js';
export type { Daemon, ProviderSummary } from './daemon.js';
export { BedrockError, ERROR_CODES, messageOf, systemCodeOf } from './errors.js';
export type { BedrockErrorOptions, ErrorCode } from './errors.js';
export { makeFolders } from './folders.js';
export type { LogLevel, LogThreshold } from './log-levels.js';
export type { Logger, LogFormat } from './logging.js';
export { fileOperations } from './pool-file/file-operations.js';
export type { FileOperations } from './pool-file/file-operations.js';
export { definePoolBackend } from './pool-file/pool-backend.js';
export type { NewFile, OpenMedium, OpenedPoolFile, PoolBackend } from './pool-file/pool-backend.js';
export type { PoolFileIo } from './pool-file/pool-file-io.js';
export type { PoolFile } from './pool-file/pool-file.js';
export type { MediumRange, MediumSpace, PoolMedium } from './pool/medium.js';
export { PoolTarget } from './pool/pool-target.js';
export type { OpenedStorage, PoolStorage, PoolTargetOptions } from './pool/pool-target.js';
export { API_VERSION, defineBackend, defineProvider } from './provider/definitions.js';
export type {
  BackendContext,
  BackendDefinition,
  ConfigCheck,
  Dependencies,
  DependenciesOf,
  Dependency,
  DependencySpec,
  ProviderContext,
  ProviderDefinition,
  ProviderDependency,
  SchemaSource,
  SettingsReport,
} from './provider/definitions.js';
export type { ExecutionPool, ExecutionPoolLimits } from './provider/execution-pool.js';
export type {
  MigrateRequest,
  Provider,
  ProviderState,
  RestoreRequest,
  SnapshotRequest,
} from './provider/provider.js';
export { Answer, defineRoute, jsonBody, optionalJsonBody } from './provider/route.js';
export type { ByteStream, JsonBody, ProviderRoute, RouteMethod, RouteRequest } from './provider/route.js';
export type {
  MetricDescription,
  ProviderCounter,
  ProviderGauge,
  ProviderHistogram,
  ProviderMetrics,
} from './metrics/provider-metrics.js';
export * from './target/index.js';
export type { BedrockConfig } from '../schemas/generated/bedrock.js';
