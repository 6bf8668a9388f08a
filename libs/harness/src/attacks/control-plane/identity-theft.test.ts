import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import { buildCsr, formatPem, generateP256, parseJoinToken, formatJoinToken } from '@meltemi/identity';
import { ControlPlane, nodeOf } from './control-plane.ts';

const mesh = new ControlPlane();
const thief = () => mesh.credentials(mesh.forger.leaf('default/thief'));
const victim = 'spiffe://cluster.local/ns/default/sa/victim';
const own = 'spiffe://cluster.local/ns/default/sa/thief';

before(async () => {
  await mesh.start();
  mesh.write('victim.yaml', `
apiVersion: v1
kind: Pod
metadata: {name: victim-0, namespace: default, labels: {app: victim}}
spec: {serviceAccountName: victim, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.66.0.9, podIPs: [{ip: 10.66.0.9}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: db, namespace: default}
spec: {metadata: {labels: {app: db}}, template: {serviceAccount: victim}}
`);
  await waitFor('pilot to know the Pod', async () => /victim-0/.test(await (await fetch(`http://127.0.0.1:${mesh.adminPort('pilot')}/debug/configz`)).text()));
});
after(() => mesh.stop());

test('a certificate request gets the caller’s own identity and no other', async () => {
  const key = generateP256().privateKey;
  const cases: readonly (readonly [what: string, names: Parameters<typeof buildCsr>[1]])[] = [
    ['another’s identity', { uris: [victim] }], ['pilot’s', { uris: ['spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot'] }], ['two', { uris: [own, victim] }], ['its own twice', { uris: [own, own] }],
    ['another trust domain', { uris: ['spiffe://elsewhere/ns/default/sa/thief'] }], ['a host name', { uris: [own], dnsNames: ['victim.default.svc'] }], ['an address', { uris: [own], ips: ['10.66.0.9'] }], ['citadel’s name', { dnsNames: ['istiod.istio-system.svc'] }],
  ];
  for (const [what, names] of cases) {
    const { code, details } = await mesh.csr(buildCsr(key, names), { credentials: thief() });
    assert.equal(code, status.PERMISSION_DENIED, `${what}: ${details}`);
  }
  assert.equal((await mesh.csr(buildCsr(key, { uris: [own] }), { credentials: thief() })).code, status.OK);
});

test('a request cannot ask to be an authority, for other usages or a longer life', async () => {
  const csr = execFileSync('openssl', ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null', '-subj', '/O=x/CN=root', '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-addext', 'extendedKeyUsage=codeSigning', '-addext', `subjectAltName=URI:${own}`], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const { code, chain, details } = await mesh.csr(csr, { credentials: thief() });
  assert.equal(code, status.OK, details);
  const leaf = new X509Certificate(chain[0] ?? '');
  assert.equal(leaf.ca, false);
  assert.deepEqual([...(leaf.keyUsage ?? [])].sort(), ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(leaf.subject ?? '', '');
  assert.equal(leaf.subjectAltName, `URI:${own}`);
  assert.ok(leaf.validToDate.getTime() <= mesh.forger.issuing.certificate.notAfter);
});

test('who does not hold the key gets no certificate for it', async () => {
  const der = Buffer.from(/REQUEST-----([^-]*)/.exec(buildCsr(generateP256().privateKey, { uris: [own] }))?.[1] ?? '', 'base64');
  der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 0x55;
  const { code, details } = await mesh.csr(formatPem('CERTIFICATE REQUEST', der), { credentials: thief() });
  assert.equal(code, status.INVALID_ARGUMENT, details);
  const weak = execFileSync('openssl', ['req', '-newkey', 'rsa:1024', '-nodes', '-keyout', '/dev/null', '-subj', '/O=x'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  assert.equal((await mesh.csr(weak, { credentials: thief() })).code, status.INVALID_ARGUMENT);
});

test('a join token is good for one certificate of one identity, also when many race for it', async () => {
  const token = await mesh.mint(own);
  const race = await Promise.all(Array.from({ length: 12 }, () => mesh.csr(buildCsr(generateP256().privateKey, {}), { token })));
  assert.deepEqual(race.map(({ code }) => code).sort((a, b) => a - b), [status.OK, ...Array.from({ length: 11 }, () => status.UNAUTHENTICATED)]);
  assert.match((await mesh.csr(buildCsr(generateP256().privateKey, {}), { token })).details, /has been used already/);
  const second = parseJoinToken(await mesh.mint(own));
  assert.ok(second.ok);
  const changed = formatJoinToken({ ...second.value, id: { ...second.value.id, serviceAccount: 'victim' } });
  assert.equal((await mesh.csr(buildCsr(generateP256().privateKey, {}), { token: changed })).code, status.PERMISSION_DENIED);
  assert.equal((await mesh.csr(buildCsr(generateP256().privateKey, {}), {})).code, status.UNAUTHENTICATED);
});

test('a proxy gets the configuration of its own identity, whatever it says it is', async () => {
  const lies: readonly (readonly [what: string, node: ReturnType<typeof nodeOf>])[] = [
    ['another service account', nodeOf('default/victim')],
    ['another namespace', nodeOf('istio-system/thief')],
    ['another namespace in its name', nodeOf('default/thief', { id: 'sidecar~10.66.0.1~gateway-0.istio-system~istio-system.svc.cluster.local' })],
    ['another’s address', nodeOf('default/thief', { id: 'sidecar~10.66.0.9~thief-0.default~default.svc.cluster.local' })],
    ['another’s address beside its own', nodeOf('default/thief', { metadata: { INSTANCE_IPS: '10.66.0.1,10.66.0.9' } })],
    ['another’s Pod', nodeOf('default/thief', { id: 'sidecar~10.66.0.1~victim-0.default~default.svc.cluster.local' })],
  ];
  for (const [what, node] of lies) {
    const { outcome, response } = await mesh.xds(thief(), node);
    assert.equal(outcome.code, status.PERMISSION_DENIED, `${what}: ${outcome.details}`);
    assert.equal(response, undefined);
  }
  const registering = await mesh.xds(thief(), nodeOf('default/thief', { metadata: { AUTO_REGISTER_GROUP: 'db' } }));
  assert.match(registering.outcome.details, /WorkloadGroup default\/db is for service account "victim", not "thief"/);
  assert.equal((await mesh.xds(thief(), nodeOf('default/thief'))).outcome.code, status.OK);
  const metrics = await (await fetch(`http://127.0.0.1:${mesh.adminPort('pilot')}/metrics`)).text();
  assert.match(metrics, /meltemi_pilot_proxies_refused_total\{reason="identity"\} 6/);
  assert.match(metrics, /meltemi_pilot_proxies_refused_total\{reason="registration"\} 1/);
  assert.equal(mesh.log('pilot').split('\n').filter((line) => /"audit":true/.test(line) && /"proxy refused"/.test(line)).length, 6);
});

test('a proxy reports for itself alone', async () => {
  for (const node of [nodeOf('default/victim'), nodeOf('payments/thief')]) assert.equal((await mesh.report(thief(), node)).code, status.PERMISSION_DENIED);
  assert.equal((await mesh.report(thief(), nodeOf('default/thief'))).code, status.OK);
});
