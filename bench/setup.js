/**
 * What `npm run bench` measures beside ours and the project does without: which of it is installed,
 * and the installing. Packages of npm's go into a folder of their own, bench/peers/node_modules.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isCommand, run } from '../scripts/run.js';

const PACKAGES = ['better-sqlite3', 'classic-level', 'lmdb'];
const REDIS = 'redis-server';
const REDIS_COMMAND = ['apt-get', 'install', '-y', '-q', '--no-install-recommends', REDIS];

const require = createRequire(new URL('peers/package.json', import.meta.url));

/** Those of contenders that can be measured, as what they need is installed. */
export function present(contenders) {
  return contenders.filter(({ needs }) => needs === undefined || isInstalled(needs));
}

/** Whether a peer can be measured: redis-server, or a package. */
export function isInstalled(peer) {
  if (peer === REDIS) return isCommand(REDIS);
  try {
    require.resolve(peer);
    return true;
  } catch {
    return false;
  }
}

export function absentPeers() {
  return [REDIS, ...PACKAGES].filter((peer) => !isInstalled(peer));
}

/** Installs what is absent, as far as it can. @returns whether nothing is absent any more */
export async function installPeers() {
  if (PACKAGES.some((name) => !isInstalled(name))) {
    const cwd = fileURLToPath(new URL('peers', import.meta.url));
    await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], { cwd });
  }
  if (!isInstalled(REDIS)) await installRedis();
  for (const peer of absentPeers()) console.log(`absent still: ${peer}`);
  const absent = absentPeers();
  console.log(
    absent.length === 0
      ? 'all that is measured beside ours is installed'
      : `absent still: ${absent.join(', ')}`,
  );
  return absent.length === 0;
}

async function installRedis() {
  const command = REDIS_COMMAND.join(' ');
  if (process.getuid?.() !== 0 || !isCommand('apt-get')) {
    console.log(`redis-server needs root: ${command}`);
    return;
  }
  console.log(command);
  await run(REDIS_COMMAND[0], REDIS_COMMAND.slice(1), {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}
