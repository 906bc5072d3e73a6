/**
 * Finds and loads the addon, when it is first needed and not before. So everything else works if the addon is missing.
 *
 * The order: the file that BEDROCK_NATIVE_ADDON names, and no other; what was built here, in native/build; what came with the package,
 * in prebuilds. The first that loads is used. Which libpmem the addon then uses is its own choice (native/src/libpmem.cc).
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BedrockError, messageOf } from '../core/base/errors.js';
import type { AddonBinding, PlatformAttributes } from './binding.js';

const CURE = 'run `npx bedrock native build`';

/** Where an addon comes from. */
export type AddonOrigin = 'environment' | 'built' | 'prebuilt';

/** The result of `bedrock native info`. */
export interface AddonState {
  readonly path: string;
  readonly origin: AddonOrigin;
  /** Of the machine, as binaries are named: such as linux-x64-glibc. */
  readonly platform: string;
  /** Present if it is loaded. */
  readonly attributes?: PlatformAttributes;
  /** Present if it is not loaded: why, and what to do. */
  readonly reason?: string;
}

interface Candidate {
  readonly path: string;
  readonly origin: AddonOrigin;
}

/** Path of the addon that is used, or else of the first that was looked for. */
export function addonPath(): string {
  return addonState().path;
}

/** @throws NATIVE_UNAVAILABLE, with the cause and what to do */
export function loadAddon(): AddonBinding {
  return load().exports;
}

export function addonState(): AddonState {
  const platform = thisPlatform();
  try {
    const { exports, path: file, origin } = load();
    return { path: file, origin, platform, attributes: exports.attributes() };
  } catch (error) {
    const [first] = candidates();
    return { ...first, platform, reason: messageOf(error) };
  }
}

function load(): Candidate & { exports: AddonBinding } {
  let found: { file: string; error: unknown } | undefined;
  for (const candidate of candidates()) {
    const loaded = { exports: {} };
    try {
      // Not require(): the module system of the tests has its own, and this needs none.
      process.dlopen(loaded, candidate.path);
      return { ...candidate, exports: loaded.exports as AddonBinding };
    } catch (error) {
      // A file that is there and does not load says more than one that is missing.
      if (found === undefined && existsSync(candidate.path)) found = { file: candidate.path, error };
    }
  }
  const reason = found === undefined ? whyMissing() : whyUnloadable(messageOf(found.error));
  throw new BedrockError('NATIVE_UNAVAILABLE', `the native addon is not available: ${reason}`, {
    details: { path: found?.file ?? candidates()[0].path },
    cause: found?.error,
  });
}

function candidates(): readonly [Candidate, ...Candidate[]] {
  const named = process.env.BEDROCK_NATIVE_ADDON;
  if (named !== undefined) return [{ path: named, origin: 'environment' }];
  const root = packageRoot();
  const [system, arch, libc] = thisPlatform().split('-');
  return [
    { path: path.join(root, 'native/build/Release/bedrock_native.node'), origin: 'built' },
    // The form that node-gyp-build and prebuildify use.
    { path: path.join(root, `prebuilds/${system}-${arch}/bedrock-node.${libc}.node`), origin: 'prebuilt' },
  ];
}

function thisPlatform(): string {
  return `${process.platform}-${process.arch}-${isMusl() ? 'musl' : 'glibc'}`;
}

/** By what this process has loaded: either C library may be installed beside the other. */
function isMusl(): boolean {
  try {
    return /\/(ld|libc\.)-?musl-/.test(readFileSync('/proc/self/maps', 'latin1'));
  } catch {
    return existsSync('/etc/alpine-release');
  }
}

function whyMissing(): string {
  const built = lastBuildError() ?? 'none was built here';
  return `none came with the package for ${thisPlatform()}, and ${built}; ${CURE}`;
}

function whyUnloadable(message: string): string {
  const [library] = /lib[\w.+-]+\.so[\d.]*(?=: cannot open)/.exec(message) ?? [];
  if (library === undefined) return `it does not load (${message}); ${CURE}`;
  return `it needs ${library}, which is not installed; install it, or ${CURE} to do without`;
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
