/** bedrock-node: the public interface, for programs that embed the daemon and for authors of backends and provider types. */
export { bootstrap, checkConfig } from './daemon/bootstrap.js';
export type { BootstrapOptions } from './daemon/bootstrap.js';
export { connect } from './client/connect.js';
export type { Service } from './client/service.js';
export type { RemoteProvider } from './contract/remote-provider.js';
export type { RemoteProviderHandle } from './contract/remote-provider.js';
export type { RemoteCall } from './contract/remote-provider.js';
export type { RemoteTarget } from './contract/remote-provider.js';
export type { ConnectOptions } from './client/remote/call-options.js';
export type { CallOptions } from './contract/remote-provider.js';
export type { Clock } from './base/clock.js';
export { TOKENS } from './library/container.js';
export type { Daemon, ProviderSummary } from './daemon/daemon.js';
export { BedrockError, ERROR_CODES, explain, messageOf, systemCodeOf } from './base/errors.js';
export type { BedrockErrorOptions, ErrorCode } from './base/errors.js';
export { makeFolders } from './base/folders.js';
export type { LogLevel, LogThreshold } from './base/log-levels.js';
export type { Logger, LogFormat } from './base/logging.js';
export { fileOperations } from './pool-file/file-operations.js';
export type { FileOperations } from './pool-file/file-operations.js';
export { definePoolBackend } from './pool-file/pool-backend.js';
export type { NewFile, OpenMedium, OpenedPoolFile, PoolBackend } from './pool-file/pool-backend.js';
export type { PoolFileIo } from './pool-file/pool-file-io.js';
export type { PoolFile } from './pool-file/pool-file.js';
export type { MediumRange, MediumSpace, PoolMedium } from './pool/medium.js';
export { PoolTarget } from './pool/pool-target.js';
export type { OpenedStorage, PoolStorage, PoolTargetOptions } from './pool/pool-target.js';
export { API_VERSION, defineBackend, defineProvider } from './contract/definitions.js';
export type {
  BackendContext,
  BackendDefinition,
  ConfigCheck,
  Dependencies,
  DependenciesOf,
  DependencySpec,
  ProviderContext,
  ProviderDefinition,
  SettingsReport,
} from './contract/definitions.js';
export type { Dependency, ProviderDependency } from './contract/provider.js';
export type { SchemaSource } from './contract/schema-source.js';
export type { ExecutionPool, ExecutionPoolLimits } from './contract/execution-pool.js';
export type { Provider } from './contract/provider.js';
export type {
  MigrateRequest,
  ProviderState,
  RestoreRequest,
  SnapshotRequest,
} from './contract/provider-state.js';
export { Answer, defineRoute, jsonBody, optionalJsonBody } from './contract/route.js';
export type { ByteStream, JsonBody, ProviderRoute, RouteMethod, RouteRequest } from './contract/route.js';
export type {
  MetricDescription,
  ProviderCounter,
  ProviderGauge,
  ProviderHistogram,
  ProviderMetrics,
} from './contract/provider-metrics.js';
export { DEFAULT_LIST_LIMIT } from './targets/arguments.js';
export { BaseTarget, Region } from './targets/base-target.js';
export type { ListedRegion, Usage } from './targets/base-target.js';
export { DIRECT_BYTES, DirectTarget, type Landing } from './targets/direct-target.js';
export { ImportableTarget } from './targets/importable-target.js';
export { Lifecycle } from './targets/lifecycle.js';
export type { Eventually, Recovered } from './targets/lifecycle.js';
export { DURABILITY_MODES } from './contract/mode.js';
export type { DurabilityMode, TargetMode } from './contract/mode.js';
export { REGION_ID_BYTES, RegionId } from './contract/region-id.js';
export { RegionTable } from './targets/region-table.js';
export { RowTable, type MakeRegion } from './targets/row-table.js';
export { TableTarget } from './targets/table-target.js';
export type { TableTargetContext } from './targets/table-target.js';
export type {
  Capabilities,
  ErasedPage,
  ImportOptions,
  ListOptions,
  RecoveryReport,
  RegionMapping,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  Target,
  TargetState,
  TargetStats,
  WriteOptions,
} from './contract/target.js';
export type { BedrockConfig } from '../schemas/generated/bedrock.js';
