import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { ConfigServiceClient, StatusServiceClient, type AccessResponse, type ApplyResponse, type DeleteResponse, type ListResponse, type ProxyStatusResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor, withDeadline } from '@meltemi/base';
import { parseYamlDocuments } from '@meltemi/config';
import { channelCredentials, meshChannelOptions } from '@meltemi/identity-edge';
import { route } from './testing/manifests.ts';
import { CitadelProgram } from './testing/citadel-program.ts';
import { PilotProgram } from './testing/pilot-program.ts';

const dir = mkdtempSync(join(tmpdir(), 'pilot-access-'));
const rules = join(dir, 'rbac.yaml');
const trail = join(dir, 'audit.jsonl');
const citadel = new CitadelProgram();
let pilot: PilotProgram;

const binding = (kind: string, namespace: string, role: string, account: string) =>
  `---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ${kind}\nmetadata: {name: ${account}-${role}${namespace === '' ? '' : `, namespace: ${namespace}`}}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role}}\nsubjects: [{kind: ServiceAccount, namespace: ci, name: ${account}}]\n`;
const editor = binding('RoleBinding', 'shop', 'edit', 'deployer');

before(async () => {
  writeFileSync(rules, editor + binding('ClusterRoleBinding', '', 'view', 'watcher'));
  await citadel.start();
  pilot = new PilotProgram([...(await citadel.pilotFlags()), '--config-listen', '127.0.0.1:0', '--config-rbac', rules, '--audit-log', trail]);
  await pilot.start();
});
after(async () => {
  for (const client of clients) client.close();
  await pilot.remove();
  await citadel.remove();
  rmSync(dir, { recursive: true, force: true });
});

const clients: { close(): void }[] = [];

/** The config API over mTLS as this service account of namespace ci. Calls reject with the gRPC status. */
async function as(account: string) {
  const credentials = channelCredentials(await citadel.identity(`ci/${account}`), 'pilot');
  const config = new ConfigServiceClient(pilot.address('config'), credentials, meshChannelOptions);
  const status = new StatusServiceClient(pilot.address('config'), credentials, meshChannelOptions);
  clients.push(config, status);
  const answer = <T>(call: (done: (error: ServiceError | null, value: T) => void) => unknown) => new Promise<T>((resolve, reject) => void call((error, value) => (error ? reject(error) : resolve(value))));
  const items = (yaml: string) => parseYamlDocuments(yaml, 'test').documents.map(({ raw }) => ({ json: JSON.stringify(raw?.content), expectedResourceVersion: '' }));
  return {
    apply: (yaml: string) => answer<ApplyResponse>((done) => config.apply({ items: items(yaml), defaultNamespace: 'default', dryRun: false }, done)),
    delete: (namespace: string, name: string) => answer<DeleteResponse>((done) => config.delete({ keys: [{ group: 'networking.istio.io', kind: 'VirtualService', namespace, name }], dryRun: false }, done)),
    list: async (kind = '') => (await answer<ListResponse>((done) => config.list({ group: '', kind, namespace: '' }, done))).objects.map(({ key }) => `${key?.kind} ${key?.namespace}/${key?.name}`).sort(),
    proxies: () => answer<ProxyStatusResponse>((done) => status.proxyStatus({ proxyId: '' }, done)),
    can: (verb: string, kind: string, namespace: string) => answer<AccessResponse>((done) => status.access({ verb, group: kind === 'Secret' ? '' : 'networking.istio.io', kind, namespace, name: '' }, done)),
  };
}

const denied = (details: RegExp) => (error: ServiceError) => error.code === status.PERMISSION_DENIED && details.test(error.details);

const inNamespace = (name: string, namespace: string) => route('v1', name).replace(/namespace: \w+/, '').replace(/metadata: \{/, `metadata: {namespace: ${namespace}, `);
const secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: shop}\nstringData: {password: very-much-hidden}\n';

test('a deployer writes in the namespace it is bound to, and is told everywhere else who may not do what and which role would do', async () => {
  const deployer = await as('deployer');
  assert.notEqual((await deployer.apply(inNamespace('cart', 'shop'))).revision, '');
  await assert.rejects(deployer.apply(inNamespace('cart', 'payments')), denied(/^spiffe:\/\/cluster\.local\/ns\/ci\/sa\/deployer may not update VirtualService "cart" \(virtualservices\.networking\.istio\.io\) in namespace "payments": ClusterRole "edit" or ClusterRole "admin" or ClusterRole "cluster-admin" would allow it, bound to it by a RoleBinding in "payments"/));
  await assert.rejects(deployer.apply(secret), denied(/may not update Secret "key" \(secrets\) in namespace "shop": ClusterRole "admin"/));
  await assert.rejects(deployer.apply(`${inNamespace('till', 'shop')}---\n${inNamespace('till', 'payments')}`), denied(/"till"/));
  await assert.rejects(deployer.delete('payments', 'cart'), denied(/may not delete/));
  await waitFor('the one that was written', async () => (await deployer.list()).join() === 'VirtualService shop/cart');
});

test('a look at everything shows what the caller may see, and no more; one at what it may not see at all is refused', async () => {
  const stored = await pilot.apply(`${inNamespace('bill', 'payments')}---\n${secret}`);
  assert.equal(stored.code, 0, stored.err);
  await waitFor('both in the cache', async () => (await pilot.list()).objects.length >= 3);
  const [deployer, watcher, nobody] = [await as('deployer'), await as('watcher'), await as('nobody')];
  assert.deepEqual(await deployer.list(), ['VirtualService shop/cart']);
  assert.deepEqual(await watcher.list(), ['VirtualService payments/bill', 'VirtualService shop/cart']);
  assert.deepEqual(await nobody.list(), []);
  await assert.rejects(watcher.list('Secret'), denied(/may not list Secret \(secrets\) in all namespaces: ClusterRole "admin"/));
  await assert.rejects(nobody.list('VirtualService'), denied(/sa\/nobody may not list VirtualService/));
  await assert.rejects(nobody.proxies(), denied(/sa\/nobody may not list proxies \(proxies\.meltemi\.io\) in all namespaces: ClusterRole "view"/));
  await watcher.proxies();
});

test('meltemi auth says who one is, what one may do and through which role', async () => {
  const identity = 'spiffe://cluster.local/ns/ci/sa/deployer';
  const context = join(dir, 'context.json');
  writeFileSync(context, JSON.stringify({ configAddress: pilot.address('config'), citadelAddress: citadel.address, identity, stateDir: join(dir, 'cli'), joinTokenFile: await citadel.tokenFile(identity) }));
  assert.equal((await pilot.meltemi(['--context', context, 'auth', 'whoami'])).out.trim(), identity);
  const yes = await pilot.meltemi(['--context', context, 'auth', 'can-i', 'update', 'vs', '-n', 'shop']);
  assert.deepEqual([yes.code, yes.out.trim()], [0, 'yes: ClusterRole "edit" bound by RoleBinding "deployer-edit"']);
  const no = await pilot.meltemi(['--context', context, 'auth', 'can-i', 'delete', 'secret', 'key', '-n', 'shop']);
  assert.equal(no.code, 1);
  assert.match(no.out, /^no: spiffe:.*deployer may not delete Secret "key"/);
  assert.match((await pilot.meltemi(['auth', 'can-i', 'delete', 'secret'])).out, /^yes: ownership of the config socket/);
});

test('every change is in the audit trail, those refused too, and no value of a Secret', async () => {
  const lines = readFileSync(trail, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { time: string; who: string; verb: string; objects: string[]; revision: string; outcome: string; reason: string });
  assert.equal(statSync(trail).mode & 0o777, 0o600);
  const told = lines.map(({ who, verb, objects, outcome }) => [who.replace('spiffe://cluster.local/ns/ci/sa/', ''), verb, objects.join(), outcome].join(' | '));
  assert.deepEqual(told, [
    'deployer | apply | VirtualService.networking.istio.io shop/cart | written',
    'deployer | apply | VirtualService.networking.istio.io payments/cart | denied',
    'deployer | apply | Secret shop/key | denied',
    'deployer | apply | VirtualService.networking.istio.io shop/till,VirtualService.networking.istio.io payments/till | denied',
    'deployer | delete | VirtualService.networking.istio.io payments/cart | denied',
    'the owner of the config socket | apply | VirtualService.networking.istio.io payments/bill,Secret shop/key | written',
  ]);
  assert.notEqual(lines[0]?.revision, '');
  assert.match(lines[1]?.reason ?? '', /ClusterRole "edit"/);
  for (const text of [readFileSync(trail, 'utf8'), pilot.log]) for (const value of ['very-much-hidden', Buffer.from('very-much-hidden').toString('base64')]) assert.equal(text.includes(value), false);
  assert.match(await (await fetch(`http://${pilot.address('admin')}/metrics`)).text(), /meltemi_pilot_config_changes_total\{verb="apply",outcome="denied"\} 3/);
});

test('rules follow their files; wrong ones leave the last good in force; a start with wrong ones ends', async () => {
  const deployer = await as('deployer');
  const may = async () => (await deployer.can('create', 'VirtualService', 'payments')).allowed;
  assert.equal(await may(), false);
  writeFileSync(rules, editor + binding('RoleBinding', 'payments', 'edit', 'deployer'));
  await waitFor('the new rule', may, { deadlineMs: 15_000 });
  writeFileSync(rules, binding('RoleBinding', 'payments', 'no-such-role', 'deployer'));
  await waitFor('the complaint', () => /the access rules are wrong|no-such-role[^\n]*access rules are wrong/.test(pilot.log), { deadlineMs: 15_000 });
  assert.equal(await may(), true);
  const second = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--config-rbac', rules]);
  try {
    const [code] = (await withDeadline(once(second.launch(), 'close'), 20_000, 'the refusal')) as [number];
    assert.equal(code, 2);
    assert.match(second.log, /--config-rbac: .*roleRef\.name: there is no ClusterRole "no-such-role"/);
  } finally {
    await second.remove();
  }
});

test('an object or a request beyond its size is refused with the limit', async () => {
  const big = await pilot.apply(inNamespace('big', 'shop').replace(/metadata: \{/, `metadata: {annotations: {note: "${'x'.repeat(1_100_000)}"}, `));
  assert.equal(big.code, 1);
  assert.match(big.err, /has \d+ bytes as JSON; an object may have 1048576: split it/);
});
