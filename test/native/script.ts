/**
 * Runs a script in a Node.js of its own: a crash fails one test, not the run, and PMEM_IS_PMEM_FORCE counts for a whole process.
 * The script imports what the build left, as users do.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');

export interface ScriptEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ScriptOptions {
  /** Found by the script in process.argv, from index 1 on. */
  args?: readonly string[];
  /** Everything passes for persistent memory. */
  isForced?: boolean;
  nodeOptions?: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** Run by bash before, such as a ulimit. */
  before?: string;
}

const PRELUDE = `
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import * as native from 'bedrock-node/native';
const { mapFile } = native;
const args = process.argv.slice(1);
const codeOf = (call) => { try { call(); } catch (error) { return error.code; } };
const codeOfAsync = async (call) => { try { await call(); } catch (error) { return error.code; } };
`;

/** Runs a module that has node:assert, node:fs, timers, Worker and bedrock-node/native at hand. */
export function runScript(script: string, options: ScriptOptions = {}): Promise<ScriptEnd> {
  const { args = [], isForced = false, nodeOptions = [], env = {}, before } = options;
  const command = [
    process.execPath,
    ...nodeOptions,
    '--input-type=module',
    '-e',
    PRELUDE + script,
    '--',
    ...args,
  ];
  const [program = '', ...rest] =
    before === undefined ? command : ['bash', '-c', `${before}; exec "$@"`, 'bash', ...command];
  const child = spawn(program, rest, {
    cwd: root,
    env: { ...process.env, ...env, PMEM_IS_PMEM_FORCE: isForced ? '1' : '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** What a script that went well leaves, for a comparison that shows what went wrong otherwise. */
export const WELL = { status: 0, signal: null, stderr: '' };
