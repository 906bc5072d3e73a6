/** The file backend without the native addon, by every rule of the contract. */
import './file-without-addon.test.js';
