import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials, status as grpcStatus } from '@grpc/grpc-js';
import { RevocationsService, RootRotationService, RotationStatus, type RevocationsServer, type RevokeRequest, type RevokeResponse, type RootRotationServer, type RotationActRequest } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { runMeltemi } from '../../testing/run-meltemi.ts';

// What citadel itself answers is tested with the real one: libs/harness/src/e2e/root-rotation.e2e.ts, libs/citadel-edge/src/revocation.test.ts.

const dir = mkdtempSync(join(tmpdir(), 'meltemi-ca-'));
const meltemi = (...args: string[]) => runMeltemi(dir, args);
const [oldRoot, newRoot] = ['a'.repeat(64), 'b'.repeat(64)];
const resting = statusOf({ roots: [{ fingerprint: oldRoot, role: 'signing', certificates: 2, notAfter: '2036-01-01T00:00:00.000Z', subject: 'CN=old' }], followers: [{ trustedRoots: [oldRoot], certificateRoot: oldRoot, connected: 2, away: 0 }] });
const held = statusOf({
  phase: 'distributing', since: '2026-01-01T00:00:00.000Z', next: 'switch', holdupsTotal: 25,
  roots: [...resting.roots, { fingerprint: newRoot, role: 'next', certificates: 0, notAfter: '2036-02-01T00:00:00.000Z', subject: 'CN=new' }],
  holdups: Array.from({ length: 25 }, (_, index) => ({ kind: 'proxy', spiffeId: 'spiffe://cluster.local/ns/a/sa/b', name: `proxy-${index}`, address: '10.0.0.1:1', connected: true, heardAt: '2026-01-01T00:00:01.000Z', until: '', reason: 'does not trust root bbbbbbbbbbbb yet' })),
});
const acts: RotationActRequest[] = [];
const revokes: RevokeRequest[] = [];
/** What citadel says next; the last one stays. */
let answers: RotationStatus[] = [resting];
let refusal: string | undefined;
let revoked: RevokeResponse = { serials: ['1f'], unknown: [], warning: '' };
let server: Server;

function statusOf(changes: Partial<RotationStatus>): RotationStatus {
  return { ...RotationStatus.decode(new Uint8Array()), issuerSerial: 'c0ffee', issuerNotAfter: '2028-01-01T00:00:00.000Z', ...changes };
}

function nextAnswer(): RotationStatus {
  const [answer = resting] = answers.length > 1 ? answers.splice(0, 1) : answers;
  return answer;
}

const rotation: RootRotationServer = {
  status: (_call, done) => done(null, nextAnswer()),
  act: ({ request }, done) => {
    acts.push(request);
    if (refusal === undefined) done(null, nextAnswer());
    else done({ code: grpcStatus.FAILED_PRECONDITION, details: refusal });
  },
};
const revocations: RevocationsServer = { revoke: ({ request }, done) => (revokes.push(request), done(null, revoked)) };

before(async () => {
  server = new Server();
  server.addService(RootRotationService, rotation);
  server.addService(RevocationsService, revocations);
  const socket = join(dir, 'c.sock');
  await new Promise<void>((resolve, reject) => server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())));
  mkdirSync(join(dir, '.meltemi'));
  writeFileSync(join(dir, '.meltemi/context.json'), JSON.stringify({ citadelSocket: socket }));
});
after(() => {
  server.forceShutdown();
  rmSync(dir, { recursive: true, force: true });
});

test('status shows roots, what ends soon, what is revoked, who follows, and at most twenty of those whom the next step would cut off', async () => {
  answers = [{ ...held, problems: ['--mesh-config cannot be used'], certificates: [{ role: 'issuing CA', serial: 'c0ffee', notAfter: '2026-01-08T00:00:00.000Z', withinDays: 7 }, { role: 'root', serial: 'ff', notAfter: '2036-01-01T00:00:00.000Z', withinDays: -1 }], revoked: [{ serial: '1f', spiffeId: '', revokedAt: '', notAfter: '' }] }];
  const { code, out } = await meltemi('ca', 'status');
  assert.equal(code, 0);
  assert.match(out, /^PROBLEM: --mesh-config cannot be used\nROOT +ROLE +CERTIFICATES/);
  assert.match(out, /ENDS WITHIN 7 DAYS: the issuing CA c0ffee/);
  assert.doesNotMatch(out, /the root ff/);
  assert.match(out, /1 certificates are revoked: 1f/);
  assert.match(out, /next: sign with the new root; would cut off 25:\n {2}proxy-0 spiffe/);
  assert.match(out, /proxy-19 [^]*and 5 more/);
  assert.doesNotMatch(out, /proxy-20/);
  const asJson = await meltemi('ca', 'status', '-o', 'json');
  assert.equal((JSON.parse(asJson.out) as { holdups: unknown[] }).holdups.length, 25);
});

test('rotate without an action starts, says whom it waits for, and ends when the new root signs alone', async () => {
  acts.length = 0;
  answers = [resting, { ...held, automatic: true }, statusOf({ roots: [{ fingerprint: newRoot, role: 'signing', certificates: 2, notAfter: '', subject: 'CN=new' }] })];
  const { code, out, err } = await meltemi('ca', 'rotate');
  assert.equal(code, 0, err);
  assert.deepEqual(acts.map(({ action, automatic }) => [action, automatic]), [['start', true]]);
  assert.match(err, /waits for proxy-0 spiffe:\/\/cluster\.local\/ns\/a\/sa\/b does not trust root/);
  assert.match(err, /and 20 more\n/);
  assert.match(out, /no change of the root is under way/);
});

test('a step that citadel refuses fails with its reason; so does a rotation that somebody takes back meanwhile', async () => {
  refusal = 'not yet: to sign with the new root now would cut off one: proxy-0 does not trust root bbbbbbbbbbbb yet';
  const refused = await meltemi('ca', 'rotate', 'step');
  refusal = undefined;
  assert.equal(refused.code, 1);
  assert.match(refused.err, /would cut off one: proxy-0/);
  answers = [resting, { ...held, automatic: true }, resting];
  const back = await meltemi('ca', 'rotate');
  assert.equal(back.code, 1);
  assert.match(back.err, /was taken back: root aaaaaaaaaaaa signs as before/);
  answers = [{ ...held, paused: true }];
  assert.match((await meltemi('ca', 'rotate')).err, /paused \(distributing\)\. Go on with: meltemi ca rotate resume/);
});

test('revoke says what is on the list now, and what it had not issued', async () => {
  revoked = { serials: ['1f', '2e'], unknown: ['2e'], warning: '2 values cannot be read' };
  const { code, out } = await meltemi('ca', 'revoke', '1f', '2e', '--identity', 'spiffe://cluster.local/ns/a/sa/b');
  assert.equal(code, 0);
  assert.deepEqual(revokes.at(-1), { serials: ['1f', '2e'], spiffeId: 'spiffe://cluster.local/ns/a/sa/b' });
  assert.match(out, /^Revoked, for good: 1f, 2e\nNo certificate that was issued to spiffe[^]*Citadel does not remember to have issued; right all the same\? 2e\nWarning: 2 values cannot be read\.\n/);
});

test('a wrong command line exits 64 and asks citadel nothing', async () => {
  const [asked, acted] = [revokes.length, acts.length];
  for (const [args, reason] of [
    [['revoke'], /name serial numbers, or an identity with --identity/],
    [['revoke', 'xyz'], /"xyz" is no serial number: 1 to 40 hex digits/],
    [['rotate', 'sideways'], /use start, step, pause, resume, back, or nothing to do it all/],
    [['rotate', 'start', '--without', 'x'], /--without belongs to step and back/],
  ] as const) {
    const { code, err } = await meltemi('ca', ...args);
    assert.equal(code, 64, args.join(' '));
    assert.match(err, reason);
  }
  assert.deepEqual([revokes.length, acts.length], [asked, acted]);
});
