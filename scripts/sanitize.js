/**
 * `npm run test:sanitize`: the tests of the native addon under AddressSanitizer and
 * UndefinedBehaviorSanitizer, on a build of its own, once with libpmem (if it is there) and once
 * without. Any report ends the process that it concerns, and so fails its test. Arguments are
 * passed to jest.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from './jest.js';
import { root } from './run.js';
import { build } from './build.js';
import { compile } from './native.js';
import { setUp } from './setup.js';

/** @returns 0, or the status of the first that failed */
export async function sanitize(given) {
  const output = path.join(root, 'native/build/Sanitize/bedrock_native.node');
  const error = compile({ output, options: { BEDROCK_SANITIZE: 'ON' } });
  if (error !== undefined) {
    console.error(error);
    return 1;
  }
  for (const libpmem of ['', 'off']) {
    console.log(`Sanitizers, ${libpmem === 'off' ? 'without libpmem' : 'with libpmem if it is there'}`);
    const status = await jest(['test/native', ...given], {
      BEDROCK_NATIVE_ADDON: output,
      BEDROCK_LIBPMEM: libpmem,
      // The sanitizer's library must come before all others. Leaks are V8's own by design.
      LD_PRELOAD: library('libasan.so'),
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:allocator_may_return_null=1',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    });
    if (status !== 0) return status;
  }
  return 0;
}

function library(name) {
  const { stdout } = spawnSync('c++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  return stdout.trim();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root);
  await setUp();
  await build();
  process.exitCode = await sanitize(process.argv.slice(2));
}
