/**
 * bedrock-node: the public interface, for programs that embed the daemon and for authors of
 * backends and provider types.
 */
export { bootstrap, checkConfig } from './daemon/bootstrap.js';
export type { BootstrapOptions } from './daemon/bootstrap.js';
export { connect } from './client/connect.js';
export type { Service } from './client/service.js';
export type { RemoteProvider } from './contract/remote-provider.js';
export type { RemoteProviderHandle } from './contract/remote-provider.js';
export type { RemoteCall } from './contract/remote-provider.js';
export type { OperationOptions, RemoteOperation } from './contract/remote-provider.js';
export type {
  OperationContext,
  OperationProgress,
  OperationState,
  OperationStatus,
} from './contract/operation.js';
export type { RemoteTarget } from './contract/remote-provider.js';
export type { ConnectOptions } from './client/remote/call-options.js';
export type { CallOptions } from './contract/remote-provider.js';
export type { RemoteOptions, TlsOptions } from './contract/remote-provider.js';
export type { Clock } from './base/clock.js';
export { controlGroupsBelow } from './base/control-groups.js';
export type { ControlGroup } from './base/control-groups.js';
export { TOKENS } from './library/tokens.js';
export type { Daemon, OperationCall, ProviderSummary } from './daemon/daemon.js';
export type { ProviderChange, WrittenReference } from './contract/provider-change.js';
export { BedrockError, ERROR_CODES, explain, messageOf, systemCodeOf } from './base/errors.js';
export type { BedrockErrorOptions, ErrorCode } from './base/errors.js';
export { makeFolders } from './base/folders.js';
export { mountsBelow } from './base/mounts.js';
export type { Mount } from './base/mounts.js';
export { LOG_LEVELS } from './base/log-levels.js';
export type { LogLevel, LogThreshold } from './base/log-levels.js';
export type { LogFormat, Logger, LogMethod } from './base/logging.js';
export { fileOperations } from './pool-file/file-operations.js';
export type { FileOperations, FilePiece } from './pool-file/file-operations.js';
export type { FileSpace } from './pool-file/file-space.js';
export { definePoolBackend } from './pool-file/pool-backend.js';
export type { NewFile, OpenMedium, OpenedPoolFile, PoolBackend } from './pool-file/pool-backend.js';
export type { PoolFileIo } from './pool-file/pool-file-io.js';
export type { PoolFile } from './pool-file/pool-file.js';
export type { Distribution } from './base/distribution.js';
export { FlushMeter } from './base/flush-meter.js';
export type { MediumRange, MediumSpace, PoolMedium } from './pool/medium.js';
export { API_VERSION, defineBackend, defineProvider } from './contract/definitions.js';
export type {
  BackendContext,
  BackendDefinition,
  BackendLookup,
  ConfigCheck,
  CreateContext,
  Dependencies,
  DependenciesOf,
  DependencyOfType,
  DependencySpec,
  ProviderContext,
  ProviderDefinition,
  ResolvedDependency,
  SettingsReport,
} from './contract/definitions.js';
export type { Diagnosis, DiagnosisContext } from './contract/diagnosis.js';
export type {
  DaemonStatus,
  OperationFigures,
  ProviderStatus,
  TargetStatus,
} from './contract/daemon-status.js';
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
export { Answer, defineRoute, jsonBody, optionalJsonBody, ROUTE_METHODS } from './contract/route.js';
export type {
  ByteStream,
  JsonBody,
  PathNames,
  ProviderRoute,
  RouteDescription,
  RouteMethod,
  RouteRequest,
} from './contract/route.js';
export type {
  LabelArguments,
  MetricDescription,
  ProviderCounter,
  ProviderGauge,
  ProviderHistogram,
  ProviderMetrics,
} from './contract/provider-metrics.js';
export {
  allocateBuffer,
  checkBytes,
  checkCreatedAt,
  checkGiven,
  checkId,
  checkIds,
  checkListOptions,
  checkName,
  checkOptions,
  checkPersist,
  checkRange,
  checkRanges,
  checkSize,
  checkTotal,
  DEFAULT_LIST_LIMIT,
} from './targets/arguments.js';
export type { CheckedRanges } from './targets/arguments.js';
export { sourceOf } from './targets/contents.js';
export {
  checkNamesOptions,
  checkNewName,
  checkPutOptions,
  checkRef,
  checkRenameOptions,
} from './targets/name-arguments.js';
export type { CheckedNames } from './targets/name-arguments.js';
export { ChangeGate } from './targets/change-gate.js';
export type { ChangeListener, ChangeWatch } from './targets/change-gate.js';
export { BaseTarget } from './targets/base-target.js';
export { BytesTarget } from './targets/bytes-target.js';
export type { Usage } from './targets/target-hooks.js';
export { DIRECT_BYTES, DirectTarget, type Landing } from './targets/direct-target.js';
export { ImportableTarget } from './targets/importable-target.js';
export { Lifecycle } from './targets/lifecycle.js';
export { PinnedTarget } from './targets/pinned-target.js';
export { RegionsTarget } from './targets/regions-target.js';
export { TargetHooks } from './targets/target-hooks.js';
export type { Eventually, Recovered } from './targets/lifecycle.js';
export { DURABILITY_MODES } from './contract/mode.js';
export type { SpaceMap } from './contract/space-map.js';
export type { DurabilityMode, TargetMode } from './contract/mode.js';
export { REGION_ID_BYTES, RegionId } from './contract/region-id.js';
export type { NameEntry, Naming, Transaction } from './targets/named-store.js';
export type { NameWish } from './targets/named-regions.js';
export { type Hold, type ListedRegion, Region } from './targets/region.js';
export { RegionDirectory } from './targets/region-directory.js';
export type { DirectoryOptions, MakeRegion } from './targets/region-directory.js';
export { restoreSnapshot, takeSnapshot } from './snapshot/snapshots.js';
export type {
  RestoreSettings,
  SnapshotResult,
  SnapshotSettings,
  SnapshotSummary,
} from './snapshot/snapshots.js';
export type { Written as SnapshotWritten } from './snapshot/snapshot-writer.js';
export { verifySnapshot } from './snapshot/snapshot-reader.js';
export type { Verification } from './snapshot/snapshot-reader.js';
export type { IndexFile as SnapshotIndexFile, Manifest as SnapshotManifest } from './snapshot/format.js';
export { TableTarget } from './targets/table-target.js';
export type { TableTargetContext } from './targets/table-target.js';
export { DEFAULT_MAX_TRANSACTION_BYTES, MAX_NAME_BYTES } from './contract/names.js';
export type {
  Change,
  CreateOptions,
  MapNamesOptions,
  MappedName,
  NamedRegion,
  NamesOptions,
  NamesPage,
  PutOptions,
  RegionRef,
  RenameOptions,
  TransactionResult,
} from './contract/names.js';
export type {
  Capabilities,
  CreateAndWriteOptions,
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
export type {
  ArgobotsConfig,
  AuditConfig,
  AuthConfig,
  CertificateGrantConfig,
  GrantConfig,
  PeerGrantConfig,
  BedrockConfig,
  BedrockSection,
  Name as ConfigName,
  ExecutionPoolConfig,
  PoolReference as ExecutionPoolReference,
  ExecutionStreamConfig,
  HttpConfig,
  LimitsConfig,
  LogConfig,
  MargoConfig,
  MercuryConfig,
  ProviderConfig,
  QueryConfig,
  RemoteTlsConfig,
  RemoteTokenConfig,
  RespConfig,
  TlsConfig,
  UnixConfig,
} from '../schemas/generated/bedrock.js';
