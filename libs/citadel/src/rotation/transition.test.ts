import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuthorityMaterial } from '../authority-material.ts';
import type { ProxyReport, RotationFacts } from './facts.ts';
import { holdups } from './holdups.ts';
import type { RootMaterial } from './rotation-record.ts';
import { moved, moveOf, rotationActions, type RotationAction } from './transition.ts';

const far = 1e15;
const root = (name: string): RootMaterial => ({ rootCertificatePem: name, rootKeyPem: `${name} key`, issuingCertificatePem: `${name} issuing`, issuingKeyPem: `${name} issuing key`, retiredIssuingPem: [] });

/** What the mesh looks like from outside: fingerprints are names here. */
interface Proxy {
  readonly trusts: readonly string[];
  readonly certificate: string;
}
interface World {
  /** As it is in the keystore: after a crash this is all there is. */
  readonly material: AuthorityMaterial;
  readonly proxies: readonly Proxy[];
  readonly roots: number;
}

const trustOf = ({ rootCertificatePem, rotation }: AuthorityMaterial): readonly string[] =>
  !rotation || rotation.phase === 'retiring' ? [rootCertificatePem] : [rootCertificatePem, rotation.other.rootCertificatePem].toSorted();
const servedBy = ({ rootCertificatePem, rotation }: AuthorityMaterial): string => (rotation?.servedByOther === true ? rotation.other.rootCertificatePem : rootCertificatePem);

function factsOf(world: World): RotationFacts {
  const proxies = world.proxies.map(({ trusts, certificate }, index): ProxyReport => ({
    spiffeId: `spiffe://td/ns/a/sa/${index}`, name: `p${index}`, run: '', address: '', trustedRoots: trusts, certificateRoot: certificate, serial: '', certificateNotAfter: far, connected: true, heardAt: 0, since: -far, problem: '',
  }));
  return { proxies, silent: [], citadels: [], listeningSince: -far };
}

/** An action of the operator; undefined when it is refused. One save: a citadel killed before it leaves `world`, one killed after it leaves the result. */
function act(world: World, action: RotationAction): World | undefined {
  const { rotation } = world.material;
  const move = moveOf(action, rotation);
  if (!move.ok) return undefined;
  const roots = { signing: world.material.rootCertificatePem, other: rotation?.other.rootCertificatePem ?? '' };
  if (holdups(move.value, roots, factsOf(world), { now: 0 }).length > 0) return undefined;
  const next = move.value === 'begin' ? { next: root(`r${world.roots}`) } : {};
  return { ...world, roots: world.roots + (move.value === 'begin' ? 1 : 0), material: moved(world.material, move.value, { now: 0, leaving: roots.other, ...next }) };
}

/** Everything that may happen next, in any order: operator, crash (nothing), a proxy that takes the trust or gets a certificate, late or early. */
function* successors(world: World): Generator<[string, World]> {
  for (const action of rotationActions) {
    const next = act(world, action);
    if (next && next.roots <= 3) yield [action, next];
  }
  for (const index of world.proxies.keys()) {
    const change = (to: Partial<Proxy>): World => ({ ...world, proxies: world.proxies.map((proxy, at) => (at === index ? { ...proxy, ...to } : proxy)) });
    yield [`p${index} takes the trust`, change({ trusts: trustOf(world.material) })];
    yield [`p${index} renews`, change({ trusts: trustOf(world.material), certificate: world.material.rootCertificatePem })];
  }
}

function whatIsBroken({ material, proxies }: World): string | undefined {
  for (const [at, proxy] of proxies.entries()) {
    const stranger = proxies.find(({ certificate }) => !proxy.trusts.includes(certificate));
    if (stranger) return `p${at} trusts ${proxy.trusts.join()} and meets a certificate of ${stranger.certificate}`;
    if (!proxy.trusts.includes(servedBy(material))) return `p${at} trusts ${proxy.trusts.join()} and cannot reach citadel, of ${servedBy(material)}`;
    if (!trustOf(material).includes(proxy.certificate)) return `citadel refuses p${at}, of ${proxy.certificate}`;
    // A newcomer gets the trust and a certificate of now.
    if (!proxy.trusts.includes(material.rootCertificatePem) || !trustOf(material).includes(proxy.certificate)) return `p${at} and a newcomer refuse each other`;
  }
  return undefined;
}

const world: World = { material: { ...root('r0') }, proxies: [{ trusts: ['r0'], certificate: 'r0' }, { trusts: ['r0'], certificate: 'r0' }], roots: 1 };

test('whatever happens in whatever order, no proxy refuses another, nor citadel a proxy, nor a proxy citadel', () => {
  const seen = new Set<string>();
  const todo: { readonly world: World; readonly path: readonly string[] }[] = [{ world, path: [] }];
  let finished = 0;
  for (let at = todo.pop(); at; at = todo.pop()) {
    const key = JSON.stringify([{ ...at.world.material, retiredRoots: [] }, at.world.proxies]);
    if (seen.has(key)) continue;
    seen.add(key);
    const broken = whatIsBroken(at.world);
    assert.equal(broken, undefined, `${broken} after: ${at.path.join(', ')}`);
    if (at.world.material.rootCertificatePem === 'r2' && !at.world.material.rotation) finished += 1;
    for (const [name, next] of successors(at.world)) todo.push({ world: next, path: [...at.path, name] });
  }
  assert.ok(seen.size > 200, `${seen.size} states`);
  assert.ok(finished > 0, 'two rotations in a row can finish');
});

test('from every state a rotation can be finished, and be taken back', () => {
  const settle = (at: World): World => ({ ...at, proxies: at.proxies.map(() => ({ trusts: trustOf(at.material), certificate: at.material.rootCertificatePem })) });
  for (const steps of [1, 2, 3]) {
    for (const way of ['step', 'back'] as const) {
      let at = world;
      for (const action of ['start', ...Array.from({ length: steps - 1 }, () => 'step' as const)] as const) at = act(settle(at), action) ?? assert.fail(`${action} is refused`);
      for (let count = 0; at.material.rotation; count += 1) {
        assert.ok(count < 4);
        at = act(settle(at), way) ?? assert.fail(`${way} is refused in ${at.material.rotation?.phase}`);
      }
      assert.equal(at.material.rootCertificatePem, way === 'step' ? 'r1' : 'r0');
    }
  }
});

test('a paused rotation takes no step, but can be taken back, and goes on when resumed', () => {
  const paused = act(act(world, 'start') ?? world, 'pause');
  assert.ok(paused?.material.rotation?.paused);
  assert.deepEqual(moveOf('step', paused.material.rotation), { ok: false, error: 'the rotation is paused: resume it first' });
  assert.equal(act(paused, 'back')?.material.rotation, undefined);
  assert.equal(act(paused, 'resume')?.material.rotation?.paused, false);
});

test('a rotation that was taken back does not go on by itself', () => {
  const ready = (at: World): World => ({ ...at, proxies: at.proxies.map((proxy) => ({ ...proxy, trusts: trustOf(at.material) })) });
  const started = { ...world, material: moved(world.material, 'begin', { now: 0, next: root('r1'), automatic: true }) };
  const back = act(ready(act(ready(started), 'step') ?? world), 'back');
  assert.equal(back?.material.rotation?.phase, 'distributing');
  assert.equal(back.material.rotation.automatic, false);
});
