/**
 * The pmem backend on memory that passes for persistent: the rules that stores and flushes are
 * behind. The long test has them all.
 */
import { itKeepsTheContractForced } from './forced-pmem.js';

itKeepsTheContractForced(
  'keeps the contract of writes and recovery on memory that passes for persistent',
  'create|write and persist|mapping|persistence',
);
