/** `bedrock completion`. The scripts are made from the commands; bash runs its own here. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { hasCommand, needs } from '../fixtures/needs.js';
import { runShell } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';

let script: string;
beforeAll(async () => {
  script = (await run(['completion', 'bash'])).stdout;
});

/** What bash would offer for the last of the words. */
async function complete(...words: string[]): Promise<string[]> {
  const setUp = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})\n`;
  const { stdout } = await runShell(
    `${setUp}COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _bedrock; printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bedrock completion bash', () => {
  it('prints a script that bash takes', async () => {
    const { status, stderr } = await runShell('bash -n', { stdin: script });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('completes commands', async () => {
    await expect(complete('bedrock', 'que')).resolves.toEqual(['query']);
    await expect(complete('bedrock', '')).resolves.toEqual(
      expect.arrayContaining(['start', 'query', 'region', 'providers', 'stats', 'shutdown', 'completion']),
    );
  });

  it('completes commands of a family, behind options too', async () => {
    await expect(complete('bedrock', 'region', 'per')).resolves.toEqual(['persist']);
    await expect(complete('bedrock', 'region', 'read', '--len')).resolves.toEqual(['--length']);
  });

  it('completes values that are known, and leaves others to the names of files', async () => {
    await expect(complete('bedrock', 'completion', 'z')).resolves.toEqual(['zsh']);
    await expect(complete('bedrock', 'start', '-v', 'of')).resolves.toEqual(['off']);
    await expect(complete('bedrock', 'start', '--config', '')).resolves.toEqual([]);
    await expect(complete('bedrock', 'region', 'create', '')).resolves.toEqual([]);
  });
});

describe.each(['zsh', 'fish'])('bedrock completion %s', (shell) => {
  it('names every command', async () => {
    const { status, stdout } = await run(['completion', shell]);
    expect(status).toBe(0);
    for (const place of ['bedrock query', 'bedrock region', 'bedrock region persist'])
      expect(stdout).toContain(place);
  });

  needs(shell, hasCommand(shell)).it('prints a script that the shell takes', async () => {
    const { stdout } = await run(['completion', shell]);
    const { status, stderr } = await runShell(`${shell} -n /dev/stdin`, { stdin: stdout });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

it('refuses other shells with status 2', async () => {
  await expect(run(['completion', 'tcsh'])).resolves.toMatchObject({ status: 2, stdout: '' });
});
