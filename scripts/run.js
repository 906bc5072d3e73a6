/**
 * Shared by the other scripts: runs child processes, and finds out what is up to date. Imports
 * nothing from node_modules.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a command and waits for it. A signal that stops this process stops the command too.
 * @returns its exit status
 */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
    const pass = (signal) => {
      child.kill(signal);
    };
    process.on('SIGTERM', pass);
    process.on('SIGINT', pass);
    const done = (status) => {
      process.off('SIGTERM', pass);
      process.off('SIGINT', pass);
      resolve(status);
    };
    child.on('error', () => done(127));
    child.on('exit', (status, signal) => done(status ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

/** Like `run`, but a failure ends this process with the same status. */
export async function must(command, args, options) {
  const status = await run(command, args, options);
  if (status === 0) return;
  if (status === 130 || status === 143) process.exit(status);
  console.error(`${[path.basename(command), ...args].join(' ')} failed with status ${status}`);
  process.exit(status);
}

/** Runs a tool of node_modules by its JavaScript file. */
export function mustTool(file, args) {
  return must(process.execPath, [path.join('node_modules', file), ...args]);
}

/** Whether PATH has a program of that name. */
export function isCommand(name) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A fingerprint of files and folders: it changes when the contents of any of them change. */
export function fingerprint(names, salt = '') {
  const hash = createHash('sha256').update(salt);
  const visit = (name) => {
    const full = path.join(root, name);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const entry of readdirSync(full).sort()) visit(path.join(name, entry));
    } else {
      hash.update(name).update('\0').update(readFileSync(full)).update('\0');
    }
  };
  for (const name of names) visit(name);
  return hash.digest('hex');
}

/** The fingerprint that was noted under a name when its step was last completed. */
export function readStamp(file) {
  try {
    return JSON.parse(readFileSync(path.join(root, file), 'utf8'));
  } catch {
    return {};
  }
}

export function writeStamp(file, value) {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), JSON.stringify(value));
}
