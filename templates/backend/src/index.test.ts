/** The contract of a target, held by the suite of bedrock-node. `npm test` runs it with Node's own test runner. */
import { afterEach, beforeEach, describe, it } from 'node:test';
import { describeTarget, makeTarget } from 'bedrock-node/conformance';
import backend from './index.js';

const createBounded = (max_bytes: number) => makeTarget(backend, { max_bytes });

describeTarget(
  { describe, it, beforeEach, afterEach },
  { create: () => createBounded(2 ** 40), createBounded },
  backend.capabilities,
);
