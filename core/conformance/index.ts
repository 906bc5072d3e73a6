/**
 * The conformance suite of targets, exported as `bedrock-node/conformance`. A backend that passes
 * it keeps the contract.
 *
 *     import { afterEach, beforeEach, describe, it } from 'node:test';
 *     import { describeTarget } from 'bedrock-node/conformance';
 *
 *     describeTarget({ describe, it, beforeEach, afterEach }, { create: () => new MyTarget() }, MY_CAPABILITIES);
 */
export { describeTarget } from './describe-target.js';
export { makeTarget } from './make-target.js';
export type { TargetFactory, TestRunner } from './factory.js';
