/** The addon, loaded. Importing this is what throws NATIVE_UNAVAILABLE. */
import { loadAddon } from './load.js';

export const addon = loadAddon();
