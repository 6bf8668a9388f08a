import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitFor } from '@meltemi/base';
import { applyAndWait, get, repository, Traffic, type TrafficSpec } from '../index.ts';
import { isWhole, sum, type BookinfoMesh } from './bookinfo-mesh.ts';
import { virtualService } from './virtual-service.ts';

const tcpEcho = join(repository, 'deploy/samples/tcp-echo');

/** What the tasks need beside Bookinfo. */
export const taskManifests: readonly string[] = [join(tcpEcho, 'tcp-echo-services.yaml'), join(dirname(fileURLToPath(import.meta.url)), 'manifests/echo.yaml')];

export interface TaskSetting {
  /** The mesh, with `taskManifests`; asked when a test runs. */
  readonly book: () => BookinfoMesh;
  /** Happens beside the work of the test of this number, from 1. */
  readonly beside?: (number: number) => Promise<void>;
}

/** Declares a test per standard task of the sample. Each asserts right after `apply --wait` returned, without trying again: then is when it must be in effect. */
export function standardTasks(setting: TaskSetting): void {
  let number = 0;
  let book: BookinfoMesh;
  before(() => {
    book = setting.book();
  });

  /** 50 requests a second to the productpage while `work` runs, and not one of them fails. */
  async function underTraffic(work: () => Promise<void>, accept: NonNullable<TrafficSpec['accept']> = isWhole): Promise<void> {
    const traffic = new Traffic({ url: book.url(), perSecond: 50, accept }).start();
    const flows = (count: number) => waitFor('traffic to flow', () => traffic.report().sent >= count);
    const outcome = await flows(20).then(() => Promise.all([work(), setting.beside?.(++number)])).then(() => flows(traffic.report().sent + 20)).then(() => undefined, (cause: unknown) => cause);
    const report = await traffic.stop();
    if (outcome !== undefined) throw outcome;
    assert.deepEqual(report.failures, []);
    assert.equal(report.succeeded, report.sent);
  }

  const answered = (answer: { status: number }) => answer.status === 200;

  describe('request routing', () => {
    test('all to v1', () => underTraffic(async () => {
      await book.apply('virtual-service-all-v1');
      assert.deepEqual(await book.reviewsVersions(100), { v1: 100, v2: 0, v3: 0 });
      assert.doesNotMatch((await book.page()).body, /class="stars/);
    }));

    test('jason to v2, everybody else to v1', () => underTraffic(async () => {
      await book.apply('virtual-service-reviews-test-v2');
      assert.match((await book.page('jason')).body, /class="stars black"/);
      assert.doesNotMatch((await book.page('anna')).body, /class="stars/);
      assert.deepEqual(await Promise.all([book.reviewsVersion('jason'), book.reviewsVersion('anna'), book.reviewsVersion()]), ['v2', 'v1', 'v1']);
    }));

    test('jason is who signs in as jason', async () => {
      const signedIn = await get(book.url('/login'), { method: 'POST', body: 'username=jason&passwd=', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
      assert.equal(signedIn.status, 302);
      const [cookie = ''] = signedIn.headers['set-cookie'] ?? [];
      const page = await get(book.url(), { headers: { cookie: cookie.split(';')[0] ?? '' } });
      assert.match(page.body, /Signed in as <b>jason<\/b>/);
      assert.match(page.body, /class="stars black"/);
    });
  });

  describe('fault injection', () => {
    test('7 s of delay for jason: his page gives the reviews up', () => underTraffic(async () => {
      await book.apply('virtual-service-ratings-test-delay');
      const started = performance.now();
      const page = await book.page('jason');
      assert.equal(page.status, 200);
      assert.match(page.body, /Sorry, product reviews are currently unavailable for this book\./);
      assert.ok(performance.now() - started > 5000, 'the page gave up before its own two timeouts of 3 s');
      assert.ok(isWhole(await book.page('anna')));
    }));

    test('abort with 500 for jason: his ratings are unavailable', () => underTraffic(async () => {
      await book.apply('virtual-service-ratings-test-abort');
      const page = await book.page('jason');
      assert.equal(page.status, 200);
      assert.match(page.body, /Ratings service is currently unavailable/);
      assert.match(page.body, /Reviews served by/);
      assert.ok(isWhole(await book.page('anna')));
    }));
  });

  describe('traffic shifting', () => {
    before(() => book.apply('virtual-service-all-v1'));
    const shifts: readonly (readonly [file: string, other: string, from: number, to: number])[] = [
      ['virtual-service-reviews-50-v3', 'v3', 0.38, 0.62],
      ['virtual-service-reviews-90-10', 'v2', 0.03, 0.19],
      ['virtual-service-reviews-80-20', 'v2', 0.11, 0.3],
    ];
    for (const [file, other, from, to] of shifts)
      test(`${file.replace('virtual-service-reviews-', '')} by weight`, () => underTraffic(async () => {
        await book.apply(file);
        const seen = await book.reviewsVersions(400);
        const share = (seen[other] ?? 0) / 400;
        assert.ok(share > from && share < to, JSON.stringify(seen));
        assert.equal((seen['v1'] ?? 0) + (seen[other] ?? 0), 400, JSON.stringify(seen));
      }));

    test('all to v3', () => underTraffic(async () => {
      await book.apply('virtual-service-reviews-v3');
      assert.deepEqual(await book.reviewsVersions(100), { v1: 0, v2: 0, v3: 100 });
      assert.match((await book.page()).body, /class="stars red"/);
    }));
  });

  test('request timeout: half a second for reviews while ratings takes two', () => underTraffic(async () => {
    await book.apply('virtual-service-reviews-v2', 'virtual-service-ratings-delay-2s');
    assert.match((await book.page()).body, /class="stars black"/, 'without a timeout the stars come late');
    await book.apply('virtual-service-reviews-timeout');
    assert.match((await book.page()).body, /Sorry, product reviews are currently unavailable for this book\./);
    assert.equal((await book.through(book.mesh.workload('productpage-v1'), 'http://reviews:9080/reviews/0')).status, 504);
    await book.apply('virtual-service-all-v1');
    assert.ok(isWhole(await book.page()));
  }, answered));

  test('mirroring: v1 answers and v3 sees a copy of each', () => underTraffic(async () => {
    const v3 = book.mesh.workload('reviews-v3');
    const copies = async () => sum(await book.metrics(v3, 'istio_requests_total'), { reporter: 'destination' });
    await book.apply('virtual-service-all-v1');
    const before = await copies();
    await book.apply('virtual-service-reviews-mirror-v3');
    assert.deepEqual(await book.reviewsVersions(100), { v1: 100, v2: 0, v3: 0 });
    await waitFor('v3 to have seen 100 copies', async () => (await copies()) - before >= 100);
  }));

  describe('what the proxy does to a request', () => {
    before(() => book.apply('virtual-service-all-v1'));
    after(() => book.apply('virtual-service-all-v1'));
    const details = (path: string, headers: Readonly<Record<string, string>> = {}) => book.through(book.mesh.workload('productpage-v1'), `http://details:9080${path}`, { headers });

    test('direct response', () => underTraffic(async () => {
      await book.apply('virtual-service-details-direct-response');
      const answer = await details('/details/0');
      assert.deepEqual([answer.status, answer.body], [418, 'the proxy answers']);
    }, answered));

    test('redirect', () => underTraffic(async () => {
      await book.apply('virtual-service-details-redirect');
      const answer = await details('/old');
      assert.deepEqual([answer.status, answer.headers['location']], [302, 'http://details:9080/details/0']);
      assert.equal((await details('/details/0')).status, 200);
    }, answered));

    test('rewrite', () => underTraffic(async () => {
      await book.apply('virtual-service-details-rewrite');
      const answer = await details('/book/7');
      assert.deepEqual([answer.status, (JSON.parse(answer.body) as { id: number }).id], [200, 7]);
    }));

    test('header operations', () => underTraffic(async () => {
      await book.apply('virtual-service-details-headers');
      assert.equal((await details('/details/0')).headers['x-served-through'], 'meltemi');
      await book.applyYaml(virtualService('echo', 'echo', { headers: { request: { set: { 'x-mesh': 'meltemi' }, add: { 'x-more': 'two' }, remove: ['x-secret'] } } }));
      const echoed = await book.through(book.mesh.workload('productpage-v1'), 'http://echo/', { headers: { 'x-secret': 'no one should see this', 'x-mesh': 'mine', 'x-more': 'one' } });
      const { headers } = JSON.parse(echoed.body) as { headers: Record<string, string> };
      assert.deepEqual([headers['x-mesh'], headers['x-more'], headers['x-secret']], ['meltemi', 'one, two', undefined]);
    }));
  });

  describe('retries', () => {
    test('a call is tried as often as the rule says', () => underTraffic(async () => {
      const from = book.mesh.workload('productpage-v1');
      const served = async () => (JSON.parse((await book.through(from, 'http://echo/?status=503')).body) as { served: number }).served;
      await book.applyYaml(virtualService('echo', 'echo', { retries: { attempts: 3, perTryTimeout: '2s', retryOn: '5xx' } }));
      const before = await served();
      assert.equal((await served()) - before, 4, 'one try and three more');
      await book.applyYaml(virtualService('echo', 'echo', { retries: { attempts: 0 } }));
      const last = await served();
      assert.equal((await served()) - last, 1);
    }));

    test('a backend that fails every other time looks whole', () => underTraffic(async () => {
      const host = 'api.example';
      const api = (more: object) => virtualService('api', host, { route: [{ destination: { host: 'productpage' } }], ...more }, ['bookinfo-gateway']);
      const ratings = async () => {
        const answers = await Promise.all(Array.from({ length: 100 }, () => get(book.url('/api/v1/products/0/ratings'), { headers: { host } })));
        return answers.filter(({ status }) => status === 200).length;
      };
      const half = { percentage: { value: 50 }, httpStatus: 503 };
      await book.applyYaml(`${api({ retries: { attempts: 0 } })}\n---\n${virtualService('ratings', 'ratings', { fault: { abort: half } })}`);
      const without = await ratings();
      assert.ok(without > 20 && without < 80, `${without} of 100 succeeded without retries`);
      await book.applyYaml(api({ retries: { attempts: 20, retryOn: '5xx' } }));
      assert.equal(await ratings(), 100);
      await book.delete('virtualservice', 'api', 'ratings');
    }));

    test('the sample’s own retries', () => underTraffic(async () => {
      await book.apply('virtual-service-ratings-retries');
      assert.ok(isWhole(await book.page('jason')));
    }));
  });

  test('CORS: a preflight is answered by the gateway, and only for those who may', () => underTraffic(async () => {
    const corsPolicy = { allowOrigins: [{ exact: 'https://shop.example' }], allowMethods: ['GET', 'POST'], allowHeaders: ['x-token'], allowCredentials: true, maxAge: '24h' };
    await book.applyYaml(virtualService('echo-outside', 'echo.example', { corsPolicy, route: [{ destination: { host: 'echo' } }] }, ['bookinfo-gateway']));
    const ask = (origin: string, method: string) => get(book.url('/'), { method, headers: { host: 'echo.example', origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-token' } });
    const allowed = await ask('https://shop.example', 'OPTIONS');
    assert.equal(allowed.status, 200);
    assert.deepEqual(
      ['allow-origin', 'allow-methods', 'allow-headers', 'allow-credentials', 'max-age'].map((name) => allowed.headers[`access-control-${name}`]),
      ['https://shop.example', 'GET,POST', 'x-token', 'true', '86400'],
    );
    assert.equal(allowed.body, '', 'the application did not see it');
    assert.equal((await ask('https://shop.example', 'GET')).headers['access-control-allow-origin'], 'https://shop.example');
    assert.equal((await ask('https://thief.example', 'OPTIONS')).headers['access-control-allow-origin'], undefined);
  }));

  test('mutual TLS made STRICT, and PERMISSIVE again', () => underTraffic(async () => {
    const { address } = book.mesh.workload('details-v1');
    const plaintext = () => get(`http://${address}:9080/details/0`, { agent: new Agent() });
    assert.equal((await plaintext()).status, 200);
    await book.apply('peer-authentication-strict');
    await assert.rejects(plaintext(), /socket hang up|ECONNRESET|EPIPE/);
    assert.ok(isWhole(await book.page()));
    await book.delete('peerauthentication', 'default');
    assert.equal((await plaintext()).status, 200);
  }));

  test('TCP traffic shifting through the gateway’s port 31400', () => underTraffic(async () => {
    const echoes = async (count: number) => {
      const answers = [];
      for (let i = 0; i < count; i++) answers.push(await say(book.mesh.gateway.address, 31400, 'hello'));
      return { v1: answers.filter((line) => line === 'v1 hello').length, v2: answers.filter((line) => line === 'v2 hello').length };
    };
    await applyAndWait(book.mesh, { files: [join(tcpEcho, 'tcp-echo-all-v1.yaml')] });
    assert.deepEqual(await echoes(40), { v1: 40, v2: 0 });
    await applyAndWait(book.mesh, { files: [join(tcpEcho, 'tcp-echo-20-v2.yaml')] });
    const { v1, v2 } = await echoes(200);
    assert.equal(v1 + v2, 200);
    assert.ok(v2 >= 12 && v2 <= 72, `${v2} of 200 connections went to v2`);
  }));
}

/** One line over a TCP connection of its own; the line that comes back. */
function say(host: string, port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(`${line}\n`));
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')));
    socket.on('data', (part: string) => {
      text += part;
      if (text.endsWith('\n')) socket.end();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(text.trimEnd()));
  });
}
