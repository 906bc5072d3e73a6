/** The pmem backend on the file system of temporary files, by every rule of the contract. */
import './pmem.test.js';
