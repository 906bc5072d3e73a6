import { describe, expect, it } from '@jest/globals';
import { type BedrockConfig, checkConfig } from '../../core/index.js';

type Bedrock = NonNullable<BedrockConfig['bedrock']>;

function check(bedrock: Bedrock, address = 'http://127.0.0.1:0'): Promise<readonly string[]> {
  return checkConfig({ bedrock, providers: [] }, { address, logLevel: 'off' });
}

describe('an address that other machines can reach', () => {
  it.each(['http://0.0.0.0:0', 'http://[::]:0', 'http://example.org:0', 'http://10.0.0.1:0'])(
    'is refused without auth: %s',
    async (address) => {
      await expect(check({}, address)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      await check({ insecure: true }, address);
      await check({ auth: { tokens: 'tokens.json' } }, address);
    },
  );

  it('is refused for the Redis door too', async () => {
    const resp = { address: '0.0.0.0:0' };
    await expect(check({ resp })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      details: { issues: [expect.objectContaining({ path: '$.bedrock.resp.address' })] },
    });
    await check({ resp, insecure: true });
  });

  it.each([
    'http://127.0.0.1:0',
    'http://127.9.9.9:0',
    'http://localhost:0',
    'http://[::1]:0',
    'unix:/tmp/x.sock',
  ])('is not %s', async (address) => {
    await check({}, address);
  });
});
