import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { buildCertificate, formatPem, generateP256 } from '@meltemi/identity';
import { channelCredentials } from '@meltemi/identity-edge';
import { xdsType } from '@meltemi/xds';
import { CitadelProgram } from './testing/citadel-program.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower, type FollowerOptions } from './testing/xds-follower.ts';

const citadel = new CitadelProgram();
const followers: XdsFollower[] = [];
let pilot: PilotProgram;

const hour = 3_600_000;

/** A self-signed certificate with its key, as a Secret; `key` may be another's. */
function pair(): { readonly certificate: string; readonly key: string } {
  const keys = generateP256();
  const der = buildCertificate({ serial: randomBytes(16), subject: { organization: 'shop', commonName: 'shop.example' }, publicKey: keys.publicKey, notBefore: Date.now() - hour, notAfter: Date.now() + hour, role: { kind: 'authority', pathLength: 0 } }, { key: keys.privateKey });
  return { certificate: formatPem('CERTIFICATE', der), key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const secret = (name: string, { certificate, key }: ReturnType<typeof pair>, namespace = 'istio-system') =>
  `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}, namespace: ${namespace}}\ntype: kubernetes.io/tls\ndata: {tls.crt: ${base64(certificate)}, tls.key: ${base64(key)}}\n`;
const base64 = (text: string) => Buffer.from(text).toString('base64');

const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 8443, name: https-delta, protocol: HTTPS}, hosts: [delta.example], tls: {mode: SIMPLE, credentialName: shop-delta}}
  - {port: {number: 8443, name: https-sotw, protocol: HTTPS}, hosts: [sotw.example], tls: {mode: SIMPLE, credentialName: shop-sotw}}
  - {port: {number: 8443, name: https-kept, protocol: HTTPS}, hosts: [kept.example], tls: {mode: SIMPLE, credentialName: kept}}
`;
const [first, second, kept] = [pair(), pair(), pair()];

before(async () => {
  await citadel.start();
  pilot = new PilotProgram([...(await citadel.pilotFlags()), '--plaintext-listen', '127.0.0.1:0']);
  pilot.write('gateway.yaml', gateway);
  pilot.write('kept.yaml', secret('kept', kept));
  await pilot.start();
});
after(async () => {
  for (const follower of followers) await follower.stop();
  await pilot.remove();
  await citadel.remove();
});

async function follower(options: Partial<FollowerOptions>, serviceAccount?: string): Promise<XdsFollower> {
  const agent = serviceAccount === undefined ? undefined : await citadel.identity(serviceAccount);
  const made = new XdsFollower({ address: pilot.address(agent ? 'xds' : 'xds-plaintext'), ...(agent ? { credentials: () => channelCredentials(agent, 'pilot'), serviceAccount: serviceAccount?.split('/')[1] ?? '' } : {}), ...options });
  followers.push(made);
  return made;
}

/** The certificate that a follower holds under a name, as text. */
function chain(from: XdsFollower, name: string): string {
  const held = from.held(xdsType.secret, name) as { tls_certificate?: { certificate_chain?: { inline_bytes?: string } } } | undefined;
  return Buffer.from(held?.tls_certificate?.certificate_chain?.inline_bytes ?? '', 'base64').toString();
}

const isListener = (response: string) => response.startsWith('Listener');

for (const protocol of ['delta', 'sotw'] as const) {
  test(`over ${protocol}: a Secret that is applied reaches the gateway, a renewed one alone, a broken one never`, async () => {
    const [name, object, file] = [`kubernetes://shop-${protocol}`, `shop-${protocol}`, `shop-${protocol}.yaml`];
    const asked = [name, 'kubernetes://kept'];
    const router = await follower({ router: true, protocol, secrets: asked, name: `gw-${protocol}.istio-system` }, 'istio-system/gw');
    await waitFor('the Secret of a file', () => chain(router, 'kubernetes://kept') === kept.certificate);
    assert.equal(router.held(xdsType.secret, name), undefined);
    pilot.write(file, secret(object, first));
    await waitFor('the first Secret', () => chain(router, name) === first.certificate);
    await waitFor('listeners', () => router.responses.some(isListener));
    const before = router.responses.length;
    pilot.write(file, secret(object, second));
    await waitFor('the renewed Secret', () => chain(router, name) === second.certificate);
    assert.deepEqual(router.responses.slice(before), ['Secret+1-0']);
    pilot.write(file, secret(object, { certificate: first.certificate, key: second.key }));
    await waitFor('the reason in the status', async () => {
      const { out } = await pilot.meltemi(['get', 'secrets', '-A', '-o', 'json']);
      return /does not belong to the first certificate of tls.crt/.test(out) && /"lastGoodInForce": *true/.test(out);
    });
    assert.equal(chain(router, name), second.certificate);
    await router.stop();
    const back = await follower({ router: true, protocol, secrets: asked, name: `gw2-${protocol}.istio-system` }, 'istio-system/gw');
    await waitFor('the last good Secret at a new gateway', () => chain(back, name) === second.certificate);
    await back.stop();
  });
}

test('a sidecar, and a gateway without a certificate, get nothing, and the log says why', async () => {
  const asked = ['kubernetes://kept'];
  const sidecar = await follower({ secrets: asked, name: 'thief-0.default' }, 'default/thief');
  const plain = await follower({ router: true, secrets: asked, name: 'plain-0.istio-system' });
  await waitFor('both reasons', () => /"proxy":"sidecar[^\n]*"kubernetes:\/\/kept"[^\n]*is named by no listener and no cluster of this proxy/.test(pilot.log) && /"proxy":"router[^\n]*"kubernetes:\/\/kept"[^\n]*goes to proxies with a certificate of the mesh only/.test(pilot.log));
  for (const each of [sidecar, plain]) for (const name of asked) assert.equal(each.held(xdsType.secret, name), undefined);
});

test('no page, no command and no line of the log shows a value', async () => {
  const shown = await Promise.all([
    ...['configz', 'quarantinez', 'sourcez', 'syncz'].map(async (page) => (await fetch(`http://${pilot.address('admin')}/debug/${page}`)).text()),
    ...[['get', 'secrets', '-A', '-o', 'yaml'], ['analyze']].map(async (args) => Object.values(await pilot.meltemi(args)).join('')),
  ]);
  const text = [...shown, pilot.log].join('\n');
  assert.match(text, /tls\.key/);
  for (const { key } of [first, second, kept]) {
    const middle = (whole: string) => whole.slice(Math.floor(whole.length / 3), Math.floor(whole.length / 3) + 24);
    for (const part of [middle(key.replaceAll('\n', '')), middle(base64(key)), middle(key)]) assert.equal(text.includes(part), false);
  }
});
