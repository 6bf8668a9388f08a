import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@meltemi/base';
import { KeptAuthority, openCertificateService } from '@meltemi/citadel';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { EtcdClient } from '@meltemi/config-edge/etcd';
import { buildCsr, generateP256 } from '@meltemi/identity';
import { temporarySuffix } from '@meltemi/identity-edge';
import { DiskKeystore } from '../disk-keystore.ts';
import { DiskReportStore } from '../disk-reports.ts';
import { newDataKey, wrapDataKey } from '../sealing/sealing-record.ts';
import { copyKeystore } from './copy-keystore.ts';
import { claimKeystore, type KeystoreLocation } from './claim-keystore.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-move-'));
const keyFile = join(dir, 'key');
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
let etcd: EtcdCluster;
let count = 0;

before(async () => {
  writeFileSync(keyFile, randomBytes(32), { mode: 0o600 });
  etcd = await startEtcdCluster();
});
after(async () => {
  await etcd.stop();
  rmSync(dir, { recursive: true, force: true });
});

const folder = (sealed = false): KeystoreLocation => ({ url: `dir:${join(dir, `d${(count += 1)}`)}`, ...(sealed && { keyFile }), flags: {} });
const inEtcd = (): KeystoreLocation => ({ url: `etcd://${etcd.endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, '')).join(',')}/moved-${(count += 1)}`, keyFile, flags: {} });
const pathOf = ({ url }: KeystoreLocation): string => url.slice('dir:'.length);

/** A keystore as a citadel leaves it: authority, JWT keys, one certificate that lives and one that is revoked, two join tokens of which one is used. */
async function filled(location: KeystoreLocation): Promise<{ readonly rootPem: string; readonly used: string; readonly fresh: string; readonly serial: string }> {
  const claimed = await claimKeystore(location, { source: false });
  const entropy = { bytes: randomBytes };
  const { keystore } = claimed;
  const opened = await openCertificateService({ trustDomain: 'cluster.local', authority: new KeptAuthority({ trustDomain: 'cluster.local', keystore, entropy }), keystore, entropy, clock: systemClock });
  assert.ok(opened.ok);
  const service = opened.value;
  const mint = async (): Promise<string> => {
    const minted = await service.createJoinToken({ spiffeId: cart, lifetimeMs: 0 });
    assert.ok(minted.ok);
    return minted.value.token;
  };
  const [used, fresh] = [await mint(), await mint()];
  const issued = await service.createCertificate({ csr: buildCsr(generateP256().privateKey, {}), requestedMs: 0, proof: { token: used } });
  assert.ok(issued.ok);
  assert.ok((await service.revoke({ serials: ['ab'], spiffeId: '' })).ok);
  await claimed.reports.writeReports(new Map([['proxies/x', '{}']]));
  await service.stop();
  await claimed.close();
  return { rootPem: service.trust().pem, used, fresh, serial: issued.value.certificate.serial };
}

async function copied(from: KeystoreLocation, to: KeystoreLocation, retire = false): Promise<Awaited<ReturnType<typeof copyKeystore>>> {
  const source = await claimKeystore(from, { source: true });
  try {
    const target = await claimKeystore(to, { source: false, leadWithinMs: 2000 });
    try {
      const outcome = await copyKeystore(source, target);
      if (retire) await source.retire?.('the other');
      return outcome;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Every file and folder in a keystore's folder, its mode and what it holds. */
function treeOf(location: KeystoreLocation): Record<string, string> {
  const root = pathOf(location);
  const names = ['.', ...readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()];
  return Object.fromEntries(names.map((name) => {
    const stats = statSync(join(root, name));
    return [name, `${stats.mode.toString(8)} ${stats.isDirectory() ? '' : readFileSync(join(root, name), 'utf8')}`];
  }));
}

/** A citadel goes on where the copy is. */
async function goesOn(location: KeystoreLocation, { rootPem, used, fresh, serial }: Awaited<ReturnType<typeof filled>>): Promise<void> {
  const claimed = await claimKeystore(location, { source: false });
  const entropy = { bytes: randomBytes };
  const { keystore } = claimed;
  const opened = await openCertificateService({ trustDomain: 'cluster.local', authority: new KeptAuthority({ trustDomain: 'cluster.local', keystore, entropy }), keystore, entropy, clock: systemClock });
  assert.ok(opened.ok);
  const service = opened.value;
  assert.equal(service.trust().pem, rootPem);
  assert.ok(service.trust().revoked?.serials.has('ab'));
  const join = (token: string) => service.createCertificate({ csr: buildCsr(generateP256().privateKey, {}), requestedMs: 0, proof: { token } });
  assert.match(JSON.stringify(await join(used)), /has been used already/);
  assert.ok((await join(fresh)).ok);
  const revoked = await service.revoke({ serials: [], spiffeId: cart });
  assert.ok(revoked.ok && revoked.value.serials.includes(serial));
  assert.deepEqual([...(await claimed.reports.loadReports()).keys()], ['proxies/x']);
  await service.stop();
  await claimed.close();
}

test('a plain folder goes to etcd, from there sealed to a folder, and plain again: each time a citadel goes on with everything', async () => {
  const [plain, shared, sealed, back] = [folder(), inEtcd(), folder(true), folder()];
  const world = await filled(plain);
  assert.deepEqual(await copied(plain, shared), { authority: true, issuers: 0, jwtKeys: 1, revoked: 1, issued: 1, tokens: 2 });
  await copied(shared, sealed);
  assert.match(readFileSync(join(pathOf(sealed), 'authority.json'), 'utf8'), /^\{"sealed":1/);
  await copied(sealed, back);
  assert.equal(readFileSync(join(pathOf(back), 'authority.json'), 'utf8'), readFileSync(join(pathOf(plain), 'authority.json'), 'utf8'));
  for (const each of [shared, sealed, back]) await goesOn(each, world);
});

test('nothing is copied while a citadel runs on either side, over something else, from nothing, or with the wrong secret', async () => {
  const [source, target] = [folder(), folder()];
  await filled(source);
  const shared = inEtcd();
  for (const [busy, other] of [[source, folder()], [target, source]] as const) {
    const running = await claimKeystore(busy, { source: false });
    await assert.rejects(busy === source ? copied(source, other) : copied(source, target), /a citadel runs on the keystore in .*stop it first/);
    await running.close();
  }
  const leader = await claimKeystore(shared, { source: false });
  await assert.rejects(copied(source, shared), /a citadel runs on it, or etcd cannot be reached/);
  await leader.close();
  await copied(source, shared);
  await assert.rejects(copied(source, shared), /destination is not empty \(authority\): nothing was written/);
  await assert.rejects(copied({ ...folder() }, folder()), /there is no keystore to copy/);
  const otherKey = join(dir, 'other');
  writeFileSync(otherKey, randomBytes(32), { mode: 0o600 });
  await assert.rejects(copied({ ...shared, keyFile: otherKey }, folder()), /does not open the keystore/);
  await assert.rejects(copied(source, { ...inEtcd(), keyFile: undefined }), /etcd must not hold keys that its readers can use/);
});

test('a folder that was moved away is used by no citadel again', async () => {
  const [source, target] = [folder(), folder(true)];
  const world = await filled(source);
  await copied(source, target, true);
  await assert.rejects(new DiskKeystore(pathOf(source)).loadAuthority(), /was moved away: to the other, at 20.*To use it all the same/);
  await assert.rejects(copied(source, folder()), /was moved away/);
  await goesOn(target, world);
  assert.equal((await new DiskReportStore(pathOf(source)).loadReports()).size, 1);
});

test('a copy changes nothing in its source: no mode, no leftover, no seal', async () => {
  const source = folder();
  const world = await filled(source);
  const root = pathOf(source);
  chmodSync(join(root, 'authority.json'), 0o644);
  chmodSync(root, 0o755);
  writeFileSync(join(root, `authority.json.1${temporarySuffix}`), 'half');
  rmSync(join(root, 'running'), { recursive: true });
  const before = treeOf(source);
  const target = folder(true);
  await copied(source, target);
  assert.deepEqual(treeOf(source), before);
  await goesOn(target, world);
  await assert.rejects(copied({ ...source, keyFile }, folder()), /is not sealed: leave out/);
  assert.deepEqual(treeOf(source), before);
  // A first sealing that was killed: some files are sealed, others are not.
  writeFileSync(join(root, 'sealing.json'), await wrapDataKey(newDataKey(true), { kind: 'key file', bytes: readFileSync(keyFile) }));
  const unfinished = treeOf(source);
  await assert.rejects(copied({ ...source, keyFile }, folder()), /sealing.* was not finished: start a citadel on it/);
  assert.deepEqual(treeOf(source), unfinished);
});

test('a keystore without its folders of tokens and issued certificates is copied; nothing is no keystore, and stays nothing', async () => {
  const [old, empty] = [folder(), folder()];
  for (const each of [old, empty]) mkdirSync(pathOf(each), { mode: 0o755 });
  writeFileSync(join(pathOf(old), 'issuers.json'), JSON.stringify({ issuers: ['PEM'] }));
  const before = treeOf(old);
  assert.equal((await copied(old, folder())).issuers, 1);
  assert.deepEqual(treeOf(old), before);
  for (const each of [empty, { ...empty, keyFile }]) await assert.rejects(copied(each, folder()), /there is no keystore/);
  assert.deepEqual(Object.keys(treeOf(empty)), ['.']);
  const nowhere = inEtcd();
  const [target, other] = [folder(), folder()];
  await assert.rejects(copied(nowhere, target), /there is no keystore/);
  const client = new EtcdClient({ endpoints: etcd.endpoints, timeoutMs: 5000 });
  try {
    assert.deepEqual((await client.list(nowhere.url.slice(nowhere.url.lastIndexOf('/')))).kvs, []);
  } finally {
    client.close();
  }
  await assert.rejects(copied(empty, other), /there is no keystore/);
  for (const each of [target, other]) assert.deepEqual(readdirSync(pathOf(each)).filter((name) => name.endsWith('.json')), []);
});
