import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { get, meltemi, Traffic } from '../index.ts';
import { EchoMesh, fullName, gateway, subsets, to, type Host } from './echo-mesh.ts';

const flips = 100;
/** 200 requests a second together. */
const perSecond = 100;
const ways = ['gateway', 'sidecar'] as const;

describe('changes that cannot break', () => {
  let echo: EchoMesh;
  before(async () => {
    echo = await EchoMesh.start(93);
  });
  after(() => echo?.stop());

  function load(host: Host, by: 'gateway' | 'sidecar', rate = perSecond): Traffic {
    return new Traffic({ url: echo.url(by, '/load'), headers: { host: fullName(host) }, perSecond: rate, timeoutMs: 60_000 }).start();
  }

  const answers = async (host: Host) => Promise.all(ways.map((by) => echo.version(host, by)));

  test(`${flips} flips of subset and of route under 200 requests a second: none fails, and what is live is followed`, async (t) => {
    await echo.config.applyLive(to('flip', 'v1'));
    const loads = ways.map((by) => load('flip', by));
    let names = { v1: 'v1', v2: 'v2' };
    for (let turn = 1; turn <= flips; turn++) {
      const version = turn % 2 === 0 ? 'v1' : 'v2';
      // By turns: another subset; the subsets renamed, so that clusters go and come; another rule before the old one.
      if (turn % 5 === 0) names = { v1: `v1-${turn}`, v2: `v2-${turn}` };
      const rule = turn % 3 === 0 ? { match: [{ uri: { prefix: '/' }, headers: { 'x-nobody': { regex: `${turn}|.*` } } }, { uri: { prefix: '/' } }], retries: { attempts: turn % 4 } } : {};
      await echo.config.applyLive([...(turn % 5 === 0 ? [subsets('flip', names)] : []), to('flip', names[version], rule)].join('\n---\n'));
      assert.deepEqual(await answers('flip'), [version, version], `turn ${turn}`);
    }
    const reports = await Promise.all(loads.map((each) => each.stop()));
    for (const report of reports) {
      assert.deepEqual(report.failures, []);
      assert.equal(report.succeeded, report.sent);
    }
    t.diagnostic(`${reports.map(({ sent }) => sent).join(' + ')} requests during ${flips} changes`);
  });

  describe('three kinds of poison', () => {
    let taken: Server;
    let steady: Traffic;
    const port = 8099;
    before(async () => {
      await echo.config.applyLive([to('steady', 'v2'), to('worse', 'v1'), gateway('extra', 8081)].join('\n---\n'));
      echo.write('victim.yaml', to('victim', 'v1'));
      await waitFor('the victim to be routed', async () => (await answers('victim')).every((version) => version === 'v1') && (await distribution('VirtualService', 'victim')).following === 4);
      taken = createServer().listen(port, echo.mesh.gateway.address);
      await once(taken, 'listening');
      steady = load('steady', 'gateway');
    });
    after(async () => {
      taken?.close();
      await steady?.stop();
    });

    /** `meltemi get KIND NAME -o json` about who has it. */
    async function distribution(kind: string, name: string): Promise<{ proxies: number; following: number }> {
      const ran = await meltemi(echo.mesh, ['get', kind, name, '-o', 'json']);
      return ran.code === 0 ? (JSON.parse(ran.stdout) as { meltemi: { distribution: { proxies: number; following: number } } }).meltemi.distribution : { proxies: 0, following: 0 };
    }

    const setAside = async () => (await echo.config.list()).objects.filter(({ quarantine }) => quarantine !== undefined).map(({ key, lastGoodInForce }) => `${key?.kind} ${key?.name}${lastGoodInForce ? '' : ' without a last good version'}`).sort();

    async function allIsWell(): Promise<void> {
      assert.deepEqual(await answers('steady'), ['v2', 'v2']);
      assert.deepEqual(await answers('victim'), ['v1', 'v1'], 'the last good version');
      assert.deepEqual(await answers('worse'), ['v1', 'v1'], 'the last good version');
      assert.equal((await get(`http://${echo.mesh.gateway.address}:8081/`, { headers: { host: 'nobody' } })).status, 404, 'the port of the last good version is open');
    }

    test('what the schema refuses is set aside with its place; its last good version stays', async () => {
      echo.write('victim.yaml', to('victim', 'v2').replace('"http":', '"htttp":'));
      await waitFor('the quarantine', async () => (await setAside()).includes('VirtualService victim'));
      const waited = await meltemi(echo.mesh, ['wait', 'vs', 'victim']);
      assert.equal(waited.code, 1);
      assert.match(waited.stderr, /VirtualService default\/victim is set aside; its last good version stays in force\n {2}spec\.htttp: unknown field/);
      await allIsWell();
    });

    test('what every proxy would refuse is set aside before it is sent', async () => {
      const ran = await meltemi(echo.mesh, ['apply', '--wait', '-f', '-'], { stdin: to('worse', 'v2', { headers: { request: { set: { 'x-who': '%NO_SUCH_WORD%' } } } }) });
      assert.equal(ran.code, 1);
      assert.match(ran.stderr, /VirtualService default\/worse is set aside; its last good version stays in force\n[^]*NO_SUCH_WORD/);
      await allIsWell();
    });

    test('what one live proxy refuses is traced to its object among others, and named with the proxy’s words', async () => {
      const ran = await meltemi(echo.mesh, ['apply', '--wait', '-f', '-'], { stdin: [gateway('extra', 8081, port), to('steady', 'v2', { retries: { attempts: 1 } })].join('\n---\n') });
      assert.equal(ran.code, 1, ran.stderr);
      assert.match(ran.stderr, /Gateway default\/extra is set aside; its last good version stays in force\n[^]*istio-ingressgateway-\w+\.istio-system refuses: LDS .*8099/);
      assert.doesNotMatch(ran.stderr, /VirtualService/);
      await allIsWell();
    });

    const poisoned = ['Gateway extra', 'VirtualService victim', 'VirtualService worse'];

    test('after pilot was killed and came back all is as it was', async () => {
      await waitFor('what is known to be kept', async () => /Gateway\/default\/extra/.test(await keptLog()));
      await echo.mesh.pilot.kill();
      await allIsWell();
      await echo.mesh.pilot.start();
      await waitFor('the proxies to follow', async () => (await meltemi(echo.mesh, ['wait', 'vs', 'steady'])).code === 0, { deadlineMs: 30_000 });
      assert.deepEqual(await setAside(), poisoned);
      await allIsWell();
    });

    test('a proxy that is killed and starts with nothing gets the last good versions', async () => {
      await echo.client.proxy.kill();
      await echo.client.proxy.start();
      await waitFor('the sidecar to route', async () => (await echo.version('steady', 'sidecar')) === 'v2', { deadlineMs: 30_000 });
      assert.deepEqual(await setAside(), poisoned);
      await allIsWell();
    });

    test('mended objects go live, and nothing failed meanwhile', async () => {
      taken.close();
      await once(taken, 'close');
      echo.write('victim.yaml', to('victim', 'v2'));
      await echo.config.applyLive([to('worse', 'v2'), gateway('extra', 8081, 8098)].join('\n---\n'));
      await waitFor('the victim to follow its file', async () => (await answers('victim')).every((version) => version === 'v2'));
      assert.deepEqual(await answers('worse'), ['v2', 'v2']);
      assert.deepEqual(await setAside(), []);
      const report = await steady.stop();
      assert.deepEqual(report.failures, []);
      assert.equal(report.succeeded, report.sent);
    });

    async function keptLog(): Promise<string> {
      return echo.mesh.pilot.tail(200);
    }
  });
});
