/** A daemon under a service manager: what it tells it, and the sockets that it gets. python3 stands for systemd. */
import { afterEach, describe, expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BedrockProcess, killAll, MAIN } from '../fixtures/bedrock-process.js';
import { hasCommand, nativeAddon, needs } from '../fixtures/needs.js';

/** Listens, starts the daemon with the sockets as 3 and on, stops it after `beats` signs of life, prints what came as JSON. */
const MANAGER = `
import json, os, socket, subprocess, sys, urllib.request
folder, kinds, beats, argv = sys.argv[1], sys.argv[2].split(','), int(sys.argv[3]), sys.argv[4:]
bus = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
bus.bind(folder + '/notify'); bus.settimeout(0.2)
listeners = []
for kind in kinds:
    if kind == 'unix':
        one = socket.socket(socket.AF_UNIX); one.bind(folder + '/passed.sock')
    else:
        one = socket.socket(); one.bind(('0.0.0.0' if kind == 'open' else '127.0.0.1', 0))
    one.listen(); listeners.append(one)
def place():
    for i, one in enumerate(listeners): os.dup2(one.fileno(), 50 + i)
    for i in range(len(listeners)): os.dup2(50 + i, 3 + i, True)
names = os.environ.pop('NAMES', '')
if names: os.environ['LISTEN_FDNAMES'] = names
env = dict(os.environ, NOTIFY_SOCKET=folder + '/notify', WATCHDOG_USEC='200000', LISTEN_FDS=str(len(listeners)))
daemon = subprocess.Popen(['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', *argv], env=env, preexec_fn=place,
    pass_fds=range(3, 3 + len(listeners)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
# The daemon has them, and systemd would keep them as well; here their closing shows whose they are.
port = 0 if kinds[0] == 'unix' else listeners[0].getsockname()[1]
messages, status = [], None
while True:
    try: message = bus.recv(4096).decode()
    except socket.timeout:
        if daemon.poll() is None: continue
        break
    messages.append(message)
    if message.startswith('READY') and not port:
        client = socket.socket(socket.AF_UNIX); client.connect(folder + '/passed.sock')
        client.sendall(b'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')
        status = int(client.recv(4096).split()[1])
    if message.startswith('READY') and port:
        status = urllib.request.urlopen('http://127.0.0.1:%d/readyz' % port).status
    if message == 'WATCHDOG=1' and messages.count(message) == beats: daemon.terminate()
    if message == 'STOPPING=1': break
error = daemon.stderr.read().decode()
print(json.dumps({'messages': messages, 'ready': status, 'status': daemon.wait(), 'error': error}))
`;

interface Told {
  messages: string[];
  ready: number | null;
  status: number;
  error: string;
}

const python = needs('python3 and the native addon', hasCommand('python3') && nativeAddon.isHere);

let folder: string;
afterEach(async () => {
  await killAll();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a daemon with sockets of these kinds. */
async function managed(kinds: string, config: object, names = ''): Promise<Told> {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-managed-'));
  const file = path.join(folder, 'bedrock.json');
  await writeFile(file, JSON.stringify(config));
  await writeFile(path.join(folder, 'manager.py'), MANAGER);
  const daemon = [process.execPath, MAIN, 'start', '-c', file];
  const args = [path.join(folder, 'manager.py'), folder, kinds, '3', ...daemon];
  const env = { ...process.env, NAMES: names };
  const manager = new BedrockProcess(spawn('python3', args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  const { stdout, stderr } = await manager.exit;
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Told;
}

const LOOPBACK = { margo: { mercury: { address: 'http://127.0.0.1:0' } } };

python.describe('under a service manager', () => {
  python.it(
    'says that it is ready, alive and stopping, and serves at the sockets that it is passed',
    async () => {
      const config = { ...LOOPBACK, bedrock: { resp: { address: '127.0.0.1:0' } } };
      const { messages, ready, status, error } = await managed('tcp,tcp', config);
      expect({ ready, status, error }).toEqual({ ready: 200, status: 0, error: '' });
      expect(messages[0]).toMatch(
        /^READY=1\nSTATUS=http:\/\/127\.0\.0\.1:\d+ serves 0 providers\nMAINPID=\d+$/,
      );
      expect(messages.slice(1, 4)).toEqual(['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
      expect(messages.at(-1)).toBe('STOPPING=1');
    },
  );

  python.it('serves at a unix socket that it is passed', async () => {
    const config = { margo: { mercury: { address: 'unix:own.sock' } } };
    const { ready, status } = await managed('unix', config);
    expect({ ready, status }).toEqual({ ready: 200, status: 0 });
  });

  python.it('warns of each socket that other machines reach, and says where it listens', async () => {
    const bedrock = { insecure: true, log: { file: 'log' } };
    const config = { margo: { mercury: { address: 'http://0.0.0.0:0' } }, bedrock };
    const { ready, status } = await managed('tcp,open', config, 'http:http');
    expect({ ready, status }).toEqual({ ready: 200, status: 0 });
    const log = await readFile(path.join(folder, 'log'), 'utf8');
    expect(log).toMatch(/listening on http:\/\/127\.0\.0\.1:\d+ .*at 0\.0\.0\.0:\d+/);
    expect(log).toMatch(/\[warning\].* can reach 0\.0\.0\.0/);
  });

  const refusals: [string, string, object][] = [
    ['that other machines reach, where the configuration has one that they do not', 'open', LOOPBACK],
    ['of another kind', 'unix', LOOPBACK],
    ['for the Redis protocol, which is not configured', 'tcp,tcp', LOOPBACK],
  ];
  describe('refuses a socket', () => {
    for (const [which, kinds, config] of refusals) {
      python.it(which, async () => {
        const { status, error, messages } = await managed(kinds, config);
        expect(status).toBe(1);
        expect(error).toMatch(/^error START_FAILED: .*service manager passes/m);
        expect(messages.filter((one) => one.startsWith('READY'))).toEqual([]);
      });
    }
  });
});
