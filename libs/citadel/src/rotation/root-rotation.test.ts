import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { fingerprintOf } from '@meltemi/identity';
import { openCertificateService, type CertificateService } from '../certificate-service.ts';
import { KeptAuthority } from '../kept-authority.ts';
import { MemoryKeystore } from '../memory-keystore.ts';
import type { Keystore } from '../keystore.ts';
import type { ProxyReport } from './facts.ts';
import { MemoryReportStore } from './report-store.ts';
import { Roster } from './roster.ts';
import { RootRotation } from './root-rotation.ts';
import type { RotationAction } from './transition.ts';

const entropy = { bytes: (count: number) => randomBytes(count) };
const start = Date.parse('2027-01-01T00:00:00Z');
const dayMs = 86_400_000;

interface Citadel {
  readonly service: CertificateService;
  readonly roster: Roster;
  readonly rotation: RootRotation;
}

async function openCitadel(parts: { keystore: Keystore; store: MemoryReportStore; clock: ManualClock }, id = 'c'): Promise<Citadel> {
  const { keystore, store, clock } = parts;
  const authority = new KeptAuthority({ trustDomain: 'td', keystore, entropy });
  const opened = await openCertificateService({ trustDomain: 'td', authority, keystore, clock, entropy });
  if (!opened.ok) assert.fail(JSON.stringify(opened.error));
  const roster = new Roster({ id, store, clock, onFailure: assert.fail });
  clock.advance(10_000);
  return { service: opened.value, roster, rotation: new RootRotation({ authority, roster, clock, inFlightMs: 0 }) };
}

function parts(): { keystore: MemoryKeystore; store: MemoryReportStore; clock: ManualClock } {
  return { keystore: new MemoryKeystore(), store: new MemoryReportStore(), clock: new ManualClock(start) };
}

async function act({ rotation, service }: Citadel, action: RotationAction, without: readonly string[] = []): Promise<string> {
  const done = await rotation.act({ action, without });
  assert.ok((await service.refresh()).ok);
  return done.ok ? done.value : done.error.message;
}

const proxyOf = (service: CertificateService, changes: Partial<ProxyReport> = {}): ProxyReport => ({
  spiffeId: 'spiffe://td/ns/a/sa/b', name: 'p', run: '1', address: '10.0.0.1:9', trustedRoots: service.trust().roots.map(fingerprintOf), certificateRoot: fingerprintOf(service.authority().root), serial: '1', since: 0,
  certificateNotAfter: start + dayMs, connected: true, heardAt: start, problem: '', ...changes,
});

test('a rotation leads from one root to the next, and forgets the first with its key', async () => {
  const all = parts();
  const citadel = await openCitadel(all);
  const first = citadel.service.authority().root.pem;
  const trusted: number[] = [];
  for (const action of ['start', 'step', 'step', 'step'] as const) {
    citadel.roster.put(proxyOf(citadel.service));
    await act(citadel, action);
    trusted.push(citadel.service.trust().roots.length);
  }
  citadel.roster.put(proxyOf(citadel.service));
  assert.deepEqual(trusted, [2, 2, 1, 1]);
  assert.notEqual(citadel.service.authority().root.pem, first);
  assert.equal(citadel.service.authority().rotation, undefined);
  assert.ok(!JSON.stringify(await all.keystore.loadAuthority()).includes(JSON.stringify(first)));
});

test('a step is refused while a proxy lags, and says who; named, it is left behind', async () => {
  const citadel = await openCitadel(parts());
  citadel.roster.put(proxyOf(citadel.service));
  assert.equal(await act(citadel, 'start'), 'begin');
  assert.match(await act(citadel, 'step'), /^not yet: to sign with the new root now would cut off one: p spiffe:\/\/td\/ns\/a\/sa\/b at 10\.0\.0\.1:9 does not trust root [0-9a-f]{12} yet$/);
  assert.equal(citadel.service.authority().rotation?.phase, 'distributing');
  assert.equal(await act(citadel, 'step', ['p']), 'switch');
});

test('a rotation goes on by itself when it may, not when it is paused, and not after a step back', async () => {
  const citadel = await openCitadel(parts());
  const { rotation, roster, service } = citadel;
  assert.equal(await rotation.advance(), undefined);
  await rotation.act({ action: 'start', automatic: true });
  await service.refresh();
  roster.put(proxyOf(service, { trustedRoots: [] }));
  assert.equal(await rotation.advance(), undefined);
  roster.put(proxyOf(service));
  await act(citadel, 'pause');
  assert.equal(await rotation.advance(), undefined);
  await act(citadel, 'resume');
  assert.equal(await rotation.advance(), 'switch');
  await service.refresh();
  await act(citadel, 'back');
  assert.equal(await rotation.advance(), undefined);
  assert.equal((await rotation.progress()).phase, 'distributing');
});

test('a citadel that dies before or after any save leaves a rotation that the next one finishes', async () => {
  for (const deadly of [1, 2, 3, 4]) {
    for (const when of ['before', 'after'] as const) {
      const all = parts();
      let saves = 0;
      const mortal = mortalKeystore(all.keystore, () => (saves += 1) === deadly + 1 ? when : undefined);
      let citadel = await openCitadel({ ...all, keystore: mortal }, 'dies');
      const first = citadel.service.authority().root.pem;
      let crashes = 0;
      for (let round = 0; round < 12; round += 1) {
        citadel.roster.put(proxyOf(citadel.service));
        const action = citadel.service.authority().rotation ? 'step' : 'start';
        if (action === 'start' && citadel.service.authority().root.pem !== first) break;
        try {
          await act(citadel, action);
        } catch {
          crashes += 1;
          citadel = await openCitadel(all, 'comes after');
        }
      }
      assert.equal(crashes, 1, `${deadly} ${when}`);
      assert.equal(citadel.service.authority().rotation, undefined);
      assert.notEqual(citadel.service.authority().root.pem, first);
    }
  }
});

test('of two citadels that step at once one wins, and the rotation takes one step', async () => {
  const all = parts();
  const one = await openCitadel(all, 'c1');
  const two = await openCitadel(all, 'c2');
  await act(one, 'start');
  await two.service.refresh();
  const outcomes = await Promise.all([one.rotation.act({ action: 'pause' }), two.rotation.act({ action: 'pause' })]);
  assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
});

test('another citadel that still distributes the old state holds the next step up', async () => {
  const all = parts();
  const one = await openCitadel(all, 'c1');
  const two = await openCitadel(all, 'c2');
  const beat = ({ roster, service }: Citadel): void => roster.beat({ signingRoot: fingerprintOf(service.authority().root), trustedRoots: service.trust().roots.map(fingerprintOf) });
  beat(two);
  await two.roster.flush();
  await act(one, 'start');
  assert.match(await act(one, 'step'), /c2 does not distribute root [0-9a-f]{12} yet/);
  await two.service.refresh();
  beat(two);
  await two.roster.flush();
  assert.equal(await act(one, 'step'), 'switch');
});

test('join tokens from before the switch work until their root is retired; then the holder is told', async () => {
  const citadel = await openCitadel(parts());
  const { service } = citadel;
  const id = 'spiffe://td/ns/a/sa/b';
  const mint = async (): Promise<string> => {
    const minted = await service.createJoinToken({ spiffeId: id, lifetimeMs: 0 });
    return minted.ok ? minted.value.token : assert.fail(minted.error.message);
  };
  const join = async (token: string): Promise<string> => {
    const issued = await service.createCertificate({ csr: 'none', requestedMs: 0, proof: { token } });
    return issued.ok ? 'ok' : issued.error.message;
  };
  const tokens = [await mint()];
  const first = service.authority().root.pem;
  await act(citadel, 'start');
  tokens.push(await mint());
  await act(citadel, 'step');
  tokens.push(await mint());
  const own = service.issueOwn();
  assert.ok(own.ok && own.value.trust.roots.length === 2);
  assert.equal(service.authority().serving?.root.pem, first, "citadel's own certificate still leads to the root that these tokens name");
  for (const token of tokens) assert.match(await join(token), /certificate request|CSR|PEM/i, 'the token is fine, only the request is not');
  await act(citadel, 'step');
  assert.equal(service.authority().serving, undefined);
  await act(citadel, 'step');
  assert.match(await join(tokens[0] ?? ''), /made for a root that was retired at 2027-01-01T.*mint a new one/);
});

/** A keystore whose process dies in the middle: the save is done or not, and nobody learns which. */
function mortalKeystore(keystore: Keystore, dies: () => 'before' | 'after' | undefined): Keystore {
  return new Proxy(keystore, {
    get(target, name: keyof Keystore) {
      if (name !== 'saveAuthority') return target[name].bind(target);
      return async (...args: Parameters<Keystore['saveAuthority']>) => {
        const when = dies();
        if (when === 'before') throw new Error('killed');
        const outcome = await target.saveAuthority(...args);
        if (when === 'after') throw new Error('killed');
        return outcome;
      };
    },
  });
}
