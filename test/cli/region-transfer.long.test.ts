/** Large transfers by `bedrock region`, larger than in the quick test, and broken off by each signal. */
import './region-transfer.test.js';
