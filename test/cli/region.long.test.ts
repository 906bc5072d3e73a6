/** `bedrock region` with all the sizes, ranges and wrong uses of which the quick test has a sample. */
import './region.test.js';
