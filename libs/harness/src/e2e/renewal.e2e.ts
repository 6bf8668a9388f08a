import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '@meltemi/base';
import { get, LineTraffic, LocalMesh, MeshProcess, repository, sayLine, Traffic, type RunningWorkload } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';

/** Renewed at half of it. */
const shortMs = 10_000;
/** Long enough to start programs in half of it on a busy machine. */
const lifetimeMs = 16_000;

let mesh: LocalMesh;
/** The one that runs: the first signs for the short life, the other for the longer. */
let citadel: MeshProcess;
before(async () => {
  mesh = new LocalMesh({
    workDir: mkdtempSync(join(tmpdir(), 'meltemi-e2e-')), net: 98, from: programsFrom, citadelArgs: ['--workload-cert-ttl', `${shortMs}ms`],
    manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), join(import.meta.dirname, 'manifests/renewal.yaml')],
  });
  await mesh.start();
  citadel = mesh.citadel;
  await waitFor('the first answer', async () => (await page()).status === 200);
});
after(async () => {
  await mesh?.stop();
  await citadel?.stop();
  if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(mesh.options.workDir, { recursive: true, force: true });
});

/** "/fresh" is asked over a new mTLS connection, all else over one of the pool. */
const page = (path = '/') => get(`http://${mesh.gateway.address}:8080${path}`);
const newConnection = () => sayLine(mesh.gateway.address, 31400, 'hello', 3000);

/** Load at fixed rates, whatever the answers: requests on pooled connections and on new ones, lines on new connections and on one that lasts. */
function traffic() {
  const [pooled, fresh] = ['/', '/fresh'].map((path) => new Traffic({ url: `http://${mesh.gateway.address}:8080${path}`, perSecond: 8 }).start());
  const lines = new LineTraffic(mesh.gateway.address, 31400, 5);
  assert.ok(pooled && fresh);
  return {
    stop: () => Promise.all([pooled.stop(), fresh.stop(), lines.stop()]),
    report: () => ({ pooled: pooled.report().sent, fresh: fresh.report().sent, lines: lines.report, failures: [...pooled.report().failures, ...fresh.report().failures, ...lines.report.failures] }),
  };
}

interface Certificate {
  readonly serial: string;
  readonly failure: string | undefined;
}

async function certificateOf({ address }: RunningWorkload): Promise<Certificate> {
  const { certificates: [first], meltemi_last_failure: failure } = JSON.parse((await get(`http://${address}:15000/certs`)).body) as { certificates: { cert_chain: { serial_number: string }[] }[]; meltemi_last_failure?: string };
  const leaf = first?.cert_chain[0];
  assert.ok(leaf, 'the proxy has a certificate');
  return { serial: leaf.serial_number, failure };
}

const certificates = () => Promise.all(mesh.workloads.map(certificateOf));

/** When the newest certificate of each program that has one ends, by its log: pilot and telemetry have theirs, too. */
function ends(): number[] {
  return [mesh.pilot, mesh.telemetry, ...mesh.workloads.map(({ proxy }) => proxy)].map(({ spec }) => {
    const [last = ''] = readFileSync(spec.logFile, 'utf8').trimEnd().split('\n').filter((line) => line.includes('certificate obtained')).slice(-1);
    return Date.parse((JSON.parse(last) as { notAfter: string }).notAfter);
  });
}

/** Citadel as it was, but for the lifetime that it gives. */
async function signsFor(ttlMs: number): Promise<void> {
  await citadel.stop();
  const [program, ...args] = mesh.citadel.spec.command;
  citadel = new MeshProcess({ ...mesh.citadel.spec, command: [program, ...args.map((one) => (one === `${shortMs}ms` ? `${ttlMs}ms` : one))] });
  await citadel.start();
}

test('certificates of 10 s are renewed under load for 25 s: requests on old and on new mTLS connections, and a connection that lasts, none fails', async () => {
  const flows = traffic();
  const serials = new Set<string>();
  const end = performance.now() + 25_000;
  try {
    while (performance.now() < end) {
      for (const { serial } of await certificates()) serials.add(serial);
      await sleep(500);
    }
  } finally {
    await flows.stop();
  }
  const { failures, pooled, fresh, lines } = flows.report();
  assert.deepEqual(failures, []);
  assert.ok(pooled > 150 && fresh > 150 && lines.sent > 80 && lines.lasting > 80, `${pooled} requests on old connections, ${fresh} and ${lines.sent} on new ones, ${lines.lasting} lines on the lasting one`);
  assert.ok(serials.size >= 2 * 4, `${serials.size} certificates of two proxies were seen`);
});

test('citadel is away for longer than half a lifetime: traffic goes on, a new proxy says what it waits for, and everybody recovers alone', async () => {
  await signsFor(lifetimeMs);
  await waitFor('fresh certificates everywhere', () => Math.min(...ends()) - Date.now() > lifetimeMs * 0.66, { deadlineMs: 20_000, everyMs: 50 });
  const newcomer = await mesh.sidecarOf('echo');
  const flows = traffic();
  const ready = () => get(`http://${newcomer.address}:15000/ready`);
  try {
    await citadel.kill();
    const goneAt = performance.now();
    await newcomer.proxy.start();
    await waitFor('the new proxy to say why', async () => /certificate from citadel at 127\.98\.0\.1:15022 \(citadel at .*ECONNREFUSED/.test((await ready()).body), { deadlineMs: 3000 });
    await sleep(Math.max(0, lifetimeMs * 0.52 - (performance.now() - goneAt)));
    assert.match((await certificateOf(mesh.gateway)).failure ?? '', /citadel at .*ECONNREFUSED/);
    await citadel.start();
    await waitFor('everybody to have renewed', async () => (await certificates()).every(({ failure }) => failure === undefined), { deadlineMs: 8000 });
    await waitFor('the new proxy to be ready', async () => (await ready()).status === 200, { deadlineMs: 10_000 });
  } finally {
    await Promise.all([flows.stop(), newcomer.proxy.stop()]);
  }
  assert.deepEqual(flows.report().failures, []);
  assert.match(readFileSync(newcomer.proxy.spec.logFile, 'utf8'), /no certificate from citadel/);
});

test('past the end of their certificates peers refuse each other and say so; with citadel and fresh tokens all is as before', async () => {
  await citadel.kill();
  await waitFor('every certificate to have ended', () => Math.max(...ends()) < Date.now() - 1000, { deadlineMs: lifetimeMs + 4000 });
  await assert.rejects(newConnection(), 'a new connection is refused');
  const { status, body } = await page('/fresh');
  assert.deepEqual([status, body.includes('certificate_has_expired')], [503, true], body);
  assert.match((await certificateOf(mesh.gateway)).failure ?? '', /citadel at .*ECONNREFUSED|no valid certificate to prove/);
  await citadel.start();
  await mesh.freshTokens();
  await waitFor('traffic to flow again', async () => (await newConnection()) === 'v1 hello' && (await page()).status === 200, { deadlineMs: 25_000 });
});
