/** Loads the addon. Importing this file throws NATIVE_UNAVAILABLE if that fails. */
import { loadAddon } from './load.js';

export const addon = loadAddon();
