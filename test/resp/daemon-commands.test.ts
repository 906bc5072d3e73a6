/** Commands about the daemon as a whole. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { codeOf, type RawClient } from './raw-client.js';
import { RunningDoor, closeDoors } from './running-door.js';

let door: RunningDoor;
let client: RawClient;
beforeAll(async () => {
  door = await RunningDoor.start({ resp: { max_bulk_bytes: 2 ** 20, max_arguments: 100 } });
  client = await door.client();
});
afterAll(closeDoors);

async function json(command: string): Promise<unknown> {
  return JSON.parse((await client.call(command)) as string);
}

describe('BEDROCK.HELLO', () => {
  it('gives the limits, and has errors tell their details from then on', async () => {
    const stat = ['BLOB.STAT', '0'.repeat(32)];
    expect(((await client.call(...stat)) as Error).message).not.toContain('{');
    expect(await json('BEDROCK.HELLO')).toEqual({
      max_bulk_bytes: 2 ** 20,
      max_arguments: 100,
      max_request_bytes: 2 ** 22,
      max_uploads: 256,
    });
    const { message } = (await client.call(...stat)) as Error;
    expect(JSON.parse(message.slice(message.indexOf(' ')))).toHaveProperty('details');
  });
});

describe('BEDROCK.CONFIG and BEDROCK.PROVIDERS', () => {
  it('give what the daemon gives over HTTP', async () => {
    const of = async (path: string): Promise<unknown> =>
      (await fetch(`${door.daemon.address ?? ''}${path}`)).json();
    expect(await json('BEDROCK.CONFIG')).toEqual(await of('/v1/config'));
    expect(await json('BEDROCK.PROVIDERS')).toEqual(await of('/v1/providers'));
  });

  it('are joined by BEDROCK.STATUS, which gives it over the same connection', async () => {
    const status = (await json('BEDROCK.STATUS')) as Record<string, unknown>;
    const overHttp = (await (await fetch(`${door.daemon.address ?? ''}/v1/status`)).json()) as object;
    expect(Object.keys(status)).toEqual(Object.keys(overHttp));
    expect(status.doors).toMatchObject({ resp: { connections: 1 } });
  });

  it('take no argument', async () => {
    expect(codeOf(await client.call('BEDROCK.CONFIG', 'x'))).toBe('INVALID_ARGUMENT');
  });
});

describe('BEDROCK.SHUTDOWN', () => {
  it('is answered, and the daemon stops', async () => {
    expect(await client.call('BEDROCK.SHUTDOWN')).toBe('OK');
    await client.ended();
    client.close();
    await door.daemon.closed;
  });
});
