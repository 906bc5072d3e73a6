/**
 * The pmem backend on memory that passes for persistent: the whole contract, and all that pools in
 * files have.
 */
import { itKeepsTheContractForced } from './forced-pmem.js';

itKeepsTheContractForced(
  'keeps the contract, and what pools in files have, on memory that passes for persistent',
);
