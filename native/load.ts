/**
 * Finds and loads the addon, when it is first needed and not before. So everything else works if
 * the addon or libpmem.so.1 is missing.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BedrockError, messageOf } from '../core/base/errors.js';
import type { AddonBinding, PlatformAttributes } from './binding.js';

const CURE = 'run `npx bedrock native build`';

/** The result of `bedrock native info`. */
export interface AddonState {
  readonly path: string;
  /** Present if it is loaded. */
  readonly attributes?: PlatformAttributes;
  /** Present if it is not loaded: why, and what to do. */
  readonly reason?: string;
}

/** Path of the addon: beside the sources, or the value of the environment variable BEDROCK_NATIVE_ADDON. */
export function addonPath(): string {
  return (
    process.env.BEDROCK_NATIVE_ADDON ?? path.join(packageRoot(), 'native/build/Release/bedrock_native.node')
  );
}

/** @throws NATIVE_UNAVAILABLE, with the cause and what to do */
export function loadAddon(): AddonBinding {
  const file = addonPath();
  const loaded = { exports: {} };
  try {
    // Not require(): the module system of the tests has its own, and this needs none.
    process.dlopen(loaded, file);
  } catch (error) {
    const reason = existsSync(file) ? whyUnloadable(messageOf(error)) : whyMissing();
    throw new BedrockError('NATIVE_UNAVAILABLE', `the native addon is not available: ${reason}`, {
      details: { path: file },
      cause: error,
    });
  }
  return loaded.exports as AddonBinding;
}

export function addonState(): AddonState {
  const file = addonPath();
  try {
    return { path: file, attributes: loadAddon().attributes() };
  } catch (error) {
    return { path: file, reason: messageOf(error) };
  }
}

function whyMissing(): string {
  return `it is not built (${lastBuildError() ?? 'it was never tried'}); ${CURE}`;
}

function whyUnloadable(message: string): string {
  const [library] = /lib[\w.+-]+\.so[\d.]*(?=: cannot open)/.exec(message) ?? [];
  if (library === undefined) return `it does not load (${message}); ${CURE}`;
  return `it was built with ${library}, which is not installed; install it (Debian: libpmem1), or ${CURE} to do without`;
}

/** The error that scripts/native.js recorded. */
function lastBuildError(): string | undefined {
  try {
    const stamp = JSON.parse(readFileSync(path.join(packageRoot(), 'native/build/build.json'), 'utf8')) as {
      error?: string;
    };
    return stamp.error;
  } catch {
    return undefined;
  }
}

/** This file runs as native/load.ts and as dist/native/load.js. */
export function packageRoot(): string {
  const above = path.dirname(import.meta.dirname);
  return path.basename(above) === 'dist' ? path.dirname(above) : above;
}
