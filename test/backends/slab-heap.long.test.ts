/** SlabHeap, through more histories. */
import './slab-heap.test.js';
