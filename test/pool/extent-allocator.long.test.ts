/** ExtentAllocator, with extents by the hundred thousand. */
import './extent-allocator.test.js';
