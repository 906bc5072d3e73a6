/** The target contract and what backends build on. */
export { DEFAULT_LIST_LIMIT } from './arguments.js';
export { BaseTarget, Region } from './base-target.js';
export type { ListedRegion, Usage } from './base-target.js';
export { DIRECT_BYTES, DirectTarget, type Landing } from './direct-target.js';
export { ImportableTarget } from './importable-target.js';
export { Lifecycle } from './lifecycle.js';
export type { Eventually, Recovered } from './lifecycle.js';
export { DURABILITY_MODES } from '../contract/mode.js';
export type { DurabilityMode, TargetMode } from '../contract/mode.js';
export { REGION_ID_BYTES, RegionId } from '../contract/region-id.js';
export { RegionTable } from './region-table.js';
export { RowTable, type MakeRegion } from './row-table.js';
export { TableTarget } from './table-target.js';
export type { TableTargetContext } from './table-target.js';
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
} from '../contract/target.js';
