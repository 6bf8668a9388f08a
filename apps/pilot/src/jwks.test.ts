import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { reviews } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower } from './testing/xds-follower.ts';

const pilot = new PilotProgram();
const issuer: { server: Server; kid: string | undefined; url: string } = { server: createServer((_request, response) => {
  if (issuer.kid === undefined) response.writeHead(503).end();
  else response.end(JSON.stringify({ keys: [{ kty: 'RSA', kid: issuer.kid, n: 'AQ', e: 'AQAB' }] }));
}), kid: undefined, url: '' };

const policy = () => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec: {jwtRules: [{issuer: ann.example, jwksUri: "${issuer.url}"}]}
`;

before(async () => {
  await new Promise<void>((resolve) => issuer.server.listen(0, '127.0.0.1', resolve));
  const address = issuer.server.address();
  issuer.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/jwks`;
  pilot.write('reviews.yaml', reviews);
  await pilot.start();
});
after(async () => {
  await pilot.remove();
  issuer.server.closeAllConnections();
  issuer.server.close();
});

/** Waits until the key set in the proxy's inbound listener is this one. */
function keys(proxy: XdsFollower, pattern: RegExp): Promise<boolean> {
  return waitFor(`${String(pattern)} in virtualInbound`, () => pattern.test(JSON.stringify(proxy.held(xdsType.listener, 'virtualInbound') ?? '')));
}

test('keys that cannot be fetched hold up nothing and let no token pass; once they can be, proxies have them, and at once after a restart', async () => {
  const proxy = new XdsFollower({ address: pilot.address('xds-plaintext') });
  try {
    await proxy.route(/reviews/);
    const applied = await pilot.apply(policy(), '--wait');
    assert.equal(applied.code, 0, applied.err);
    await keys(proxy, /jwt_authn[^]*ann\.example/);
    assert.ok(!JSON.stringify(proxy.held(xdsType.listener, 'virtualInbound')).includes('key-one'));
    issuer.kid = 'key-one';
    await keys(proxy, /"inline_string":"[^]*key-one/);
    await pilot.kill();
    await waitFor('the loss', () => !proxy.connected);
    const seen: string[] = [];
    proxy.answer = (update) => {
      if (update.typeUrl === xdsType.listener) seen.push(...update.added.map(({ any }) => Buffer.from(any.value).toString('latin1')).filter((text) => text.includes('ann.example')));
      return 'ack';
    };
    await pilot.start();
    await waitFor('the reconnection', () => proxy.connected);
    await keys(proxy, /key-one/);
    assert.ok(seen.every((text) => text.includes('key-one')), 'no listener without the keys was sent in between');
  } finally {
    await proxy.stop();
  }
});
