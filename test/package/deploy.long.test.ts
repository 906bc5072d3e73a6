/**
 * The image and the manifests of deploy/. Where no Docker runs, the image is built by hand: its instructions are carried out in a root
 * of their own, and its command runs there as process 1.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile, spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { BedrockProcess, killAll } from '../fixtures/bedrock-process.js';
import { runHere } from '../fixtures/run-here.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { SlimRoot } from './slim-root.js';

const exec = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');
const DOCKER = path.join(ROOT, 'deploy/docker');

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of a Dockerfile, continued lines joined, without comments. */
function instructionsOf(text: string): Instruction[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.split(' ')[0] ?? '', text: line.slice(line.indexOf(' ') + 1).trim() }));
}

const all = instructionsOf(readFileSync(path.join(DOCKER, 'Dockerfile'), 'utf8'));
/** Those of the image itself: what is before the last FROM only helps to make it. */
const image = all.slice(all.findLastIndex(({ name }) => name === 'FROM'));
const one = (name: string): string => image.findLast((each) => each.name === name)?.text ?? '';
const commandOf = (name: string): string[] => JSON.parse(one(name)) as string[];
const health = (): string[] => JSON.parse(one('HEALTHCHECK').replace(/^.*? CMD /, '')) as string[];

describe('the Dockerfile', () => {
  // The rules of hadolint that concern it, by their numbers there, and ours.
  it('names the version of what it begins with (DL3006, DL3007)', () => {
    for (const { text } of all.filter(({ name }) => name === 'FROM')) {
      expect(text).toMatch(/^\S+:\d[\w.-]*( AS \w+)?$/);
    }
  });
  it('has copies, and no ADD (DL3020); absolute working directories (DL3000)', () => {
    expect(all.filter(({ name }) => name === 'ADD')).toEqual([]);
    for (const { text } of all.filter(({ name }) => name === 'WORKDIR')) expect(text).toMatch(/^\//);
  });
  it('leaves no lists of apt behind, and takes what is needed only (DL3009, DL3014, DL3015)', () => {
    for (const { text } of all.filter(({ text: each }) => each.includes('apt-get install'))) {
      expect(text).toMatch(/apt-get install -y --no-install-recommends .*rm -rf \/var\/lib\/apt\/lists\/\*/);
    }
  });
  it('runs one command, in the form that gets signals (DL3025, DL4003, DL4004)', () => {
    for (const name of ['ENTRYPOINT', 'CMD']) {
      expect(image.filter((each) => each.name === name)).toHaveLength(1);
      expect(commandOf(name).length).toBeGreaterThan(0);
    }
    expect(image.filter(({ name }) => name === 'HEALTHCHECK')).toHaveLength(1);
  });
  it('does not run as root (DL3002)', () => {
    expect(one('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });
  it('copies a configuration that is valid', async () => {
    const checked = await runHere(['start', '--check', '-c', path.join(DOCKER, 'bedrock.json')]);
    expect(checked.status).toBe(0);
  });
});

const python = needs('python3 with yaml', spawnSync('python3', ['-c', 'import yaml']).status === 0);

interface Container {
  ports: { name: string; containerPort: number }[];
  securityContext: object;
  volumeMounts: { name: string }[];
  [probe: string]: unknown;
}

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  data: Record<string, string>;
  spec: {
    template: {
      metadata: { labels: object };
      spec: { securityContext: object; containers: Container[]; volumes: { name: string }[] };
    };
    selector: { matchLabels?: object };
    ports: { targetPort: string }[];
    volumeClaimTemplates: { metadata: { name: string } }[];
  };
}

python.describe('the manifests for Kubernetes', () => {
  let manifests: Manifest[];
  let container: Container;
  beforeAll(() => {
    const script = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))';
    const input = readFileSync(path.join(ROOT, 'deploy/kubernetes/bedrock.yaml'));
    manifests = JSON.parse(
      spawnSync('python3', ['-c', script], { input, encoding: 'utf8' }).stdout,
    ) as Manifest[];
    [container] = of('StatefulSet').spec.template.spec.containers as [Container];
  });
  const of = (kind: string): Manifest => {
    const found = manifests.find((each) => each.kind === kind);
    if (found === undefined) throw new Error(`there is no ${kind}`);
    return found;
  };

  python.it('are objects of stable interfaces, all of one name', () => {
    expect(manifests.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)).toEqual([
      'v1 ConfigMap',
      'v1 Service',
      'networking.k8s.io/v1 NetworkPolicy',
      'apps/v1 StatefulSet',
    ]);
    expect(new Set(manifests.map(({ metadata }) => metadata.name))).toEqual(new Set(['bedrock']));
  });
  python.it('have probes, ports and volumes that lead to something', () => {
    const ports = container.ports.map(({ name }) => name);
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const { httpGet } = container[probe] as { httpGet: { path: string; port: string } };
      expect(ports).toContain(httpGet.port);
      expect(httpGet.path).toBe(probe === 'livenessProbe' ? '/healthz' : '/readyz');
    }
    expect(of('Service').spec.ports.map(({ targetPort }) => targetPort)).toEqual(ports);
    const { spec } = of('StatefulSet');
    const volumes = [
      ...spec.template.spec.volumes,
      ...spec.volumeClaimTemplates.map(({ metadata }) => metadata),
    ];
    expect(container.volumeMounts.map(({ name }) => name).sort()).toEqual(
      volumes.map(({ name }) => name).sort(),
    );
    expect(spec.selector.matchLabels).toEqual(spec.template.metadata.labels);
  });
  python.it('run without rights, as the user of the image', () => {
    const [user, group] = one('USER').split(':').map(Number);
    expect(of('StatefulSet').spec.template.spec.securityContext).toMatchObject({
      ...{ runAsNonRoot: true, runAsUser: user, runAsGroup: group, fsGroup: group },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
      capabilities: { drop: ['ALL'] },
    });
  });
  python.it('have a configuration that is valid', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'bedrock-manifest-'));
    const file = path.join(folder, 'bedrock.json');
    writeFileSync(file, of('ConfigMap').data['bedrock.json'] ?? '');
    const checked = await runHere(['start', '--check', '-c', file]);
    rmSync(folder, { recursive: true });
    expect(checked.status).toBe(0);
  });
});

const isRoot = process.getuid?.() === 0;
const tools = ['chroot', 'unshare', 'ip', 'pgrep', 'ldd', 'cmake', 'g++'].every(hasCommand);
const own = spawnSync('unshare', ['--pid', '--net', '--fork', 'true']).status === 0;
const byHand = needs('root, chroot, unshare, ip, pgrep, ldd, cmake and g++', isRoot && tools && own);

byHand.describe('the image, built by hand', () => {
  let folder: string;
  let root: SlimRoot;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'bedrock-image-'));
    await exec(process.execPath, [path.join(ROOT, 'scripts/prebuild.js')]);
    await exec('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
    const [tarball = ''] = readdirSync(folder);
    const project = path.join(folder, 'app');
    mkdirSync(project);
    const options = ['--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await exec('npm', ['install', ...options, path.join(folder, tarball)], { cwd: project });
    root = await SlimRoot.make(process.execPath);
    for (const { text } of image.filter(({ name }) => name === 'COPY')) {
      const [from = '', to = ''] = text.replace(/^--from=package \/app/, project).split(' ');
      mkdirSync(path.dirname(root.at(to)), { recursive: true });
      cpSync(path.resolve(DOCKER, from), root.at(to), { recursive: true });
    }
    const [user, group] = one('USER').split(':').map(Number);
    chownSync(root.at('data'), user ?? 0, group ?? 0);
  });
  afterEach(killAll);
  afterAll(() => {
    root.remove();
    rmSync(folder, { recursive: true });
  });

  byHand.it('runs as process 1 without root, is healthy, and stops by its signal', async () => {
    // With a network of its own, as the ports are fixed, and the command of the health check beside it.
    const script = `
      root=$1; user=$2; signal=$3; shift 3
      ip link set lo up
      unshare --pid --fork --kill-child --mount sh -c \
        'root=$1; user=$2; shift 2; mount -t proc proc "$root/proc" && exec chroot --userspec="$user" "$root" "$@"' \
        sh "$root" "$user" "$@" & child=$!
      for i in $(seq 300); do
        chroot --userspec="$user" "$root" node -e "$HEALTH"
        isHealthy=$?
        [ $isHealthy = 0 ] && break
        sleep 0.2
      done
      echo healthy $isHealthy
      kill -s "$signal" $(pgrep -P $child)
      wait $child
      echo ended $?`;
    const [, , check = ''] = health();
    const command = [...commandOf('ENTRYPOINT'), ...commandOf('CMD')];
    const args = [
      '--net',
      'bash',
      '-c',
      script,
      'bash',
      root.folder,
      one('USER'),
      one('STOPSIGNAL'),
      ...command,
    ];
    const env = { ...process.env, HEALTH: check, NODE_OPTIONS: undefined };
    const container = new BedrockProcess(spawn('unshare', args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
    const { stdout } = await container.exit;
    expect(stdout).toMatch(/pid 1\b/);
    expect(stdout).toMatch(/^healthy 0$/m);
    expect(stdout).toMatch(/"message":"stopped"/);
    expect(stdout).toMatch(/^ended 0$/m);
    const pool = readdirSync(root.at('data'));
    expect(pool).toEqual(['store.pool']);
  });
});
