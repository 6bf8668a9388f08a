import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { request } from 'node:http';
import { joinTokenText, startIdentityAgent, mintJoinToken } from '@meltemi/identity-edge';
import { get, meltemi, type RunningWorkload } from '../index.ts';
import { BookinfoMesh, isWhole, sum } from './bookinfo-mesh.ts';
import { foreignAuthority, overTls } from './foreign-authority.ts';

const productpagePrincipal = 'spiffe://cluster.local/ns/default/sa/bookinfo-productpage';

describe('Bookinfo behind sidecars', () => {
  let book: BookinfoMesh;
  before(async () => {
    book = await BookinfoMesh.start(81);
  });
  after(() => book?.stop());

  test('the productpage comes through the gateway with details, reviews and ratings', async () => {
    const answers = [];
    for (let i = 0; i < 12; i++) answers.push(await book.page());
    for (const answer of answers) assert.ok(isWhole(answer), answer.body.slice(0, 300));
    // Round robin over three versions, two of which show stars: ratings answers too.
    assert.ok(answers.some(({ body }) => body.includes('class="stars black"')));
    assert.ok(answers.some(({ body }) => body.includes('class="stars red"')));
    assert.ok(answers.some(({ body }) => !body.includes('class="stars')));
  });

  const hops: readonly (readonly [from: string, to: string, service: string])[] = [
    ['istio-ingressgateway', 'productpage-v1', 'productpage'], ['productpage-v1', 'details-v1', 'details'],
    ['productpage-v1', 'reviews-v1', 'reviews'], ['productpage-v1', 'reviews-v2', 'reviews'], ['productpage-v1', 'reviews-v3', 'reviews'],
    ['reviews-v2', 'ratings-v1', 'ratings'], ['reviews-v3', 'ratings-v1', 'ratings'],
  ];
  for (const [from, to, service] of hops)
    test(`${from} to ${to} crosses two sidecars over mutual TLS`, async () => {
      const metrics = await book.metrics(book.mesh.workload(to), 'istio_requests_total');
      const hop = { reporter: 'destination', source_workload: from, destination_workload: to, destination_service: `${service}.default.svc.cluster.local` };
      assert.ok(sum(metrics, { ...hop, connection_security_policy: 'mutual_tls', response_code: '200' }) > 0, JSON.stringify(metrics));
      const source = await book.metrics(book.mesh.workload(from), 'istio_requests_total');
      assert.ok(sum(source, { reporter: 'source', source_workload: from, destination_workload: to, destination_service: hop.destination_service }) > 0, JSON.stringify(source));
    });

  test('no sidecar took a request in plaintext', async () => {
    for (const workload of book.mesh.workloads) {
      const metrics = await book.metrics(workload, 'istio_requests_total');
      assert.deepEqual(metrics.filter(({ labels }) => labels['reporter'] === 'destination' && labels['connection_security_policy'] !== 'mutual_tls'), []);
    }
  });

  test('the applications find each other by their sidecars alone', async () => {
    const productpage = book.mesh.workload('productpage-v1');
    const answer = await book.through(productpage, 'http://details:9080/details/0');
    assert.deepEqual([answer.status, (JSON.parse(answer.body) as { id: number }).id], [200, 0]);
    const unknown = await book.through(productpage, 'http://nowhere.invalid:9080/');
    assert.ok(unknown.status >= 500, `status ${unknown.status}`);
  });

  test('a PERMISSIVE sidecar takes plaintext, and says so', async () => {
    const ratings = book.mesh.workload('ratings-v1');
    assert.equal((await plaintext(ratings)).status, 200);
    const metrics = await book.metrics(ratings, 'istio_requests_total');
    assert.equal(sum(metrics, { reporter: 'destination', connection_security_policy: 'none' }), 1);
  });

  describe('under STRICT', () => {
    before(() => book.apply('peer-authentication-strict'));

    test('a plaintext connection to a sidecar is refused', async () => {
      for (const name of ['productpage-v1', 'details-v1', 'ratings-v1', 'reviews-v1'])
        await assert.rejects(plaintext(book.mesh.workload(name)), /socket hang up|ECONNRESET|EPIPE|other side closed/);
    });

    test('a certificate of another authority is refused, whatever name it bears', async () => {
      const foreign = foreignAuthority(productpagePrincipal);
      const { address } = book.mesh.workload('details-v1');
      await assert.rejects(overTls({ address, port: 9080, path: '/details/0', ...foreign }), /alert|ECONNRESET|socket hang up|closed/i);
      await assert.rejects(overTls({ address, port: 9080, path: '/details/0' }), /alert|ECONNRESET|socket hang up|closed/i);
    });

    test('a certificate from citadel, got with a join token, is let in', async () => {
      const agent = startIdentityAgent({
        citadelAddress: `${book.mesh.control}:15022`, identity: productpagePrincipal,
        joinToken: joinTokenText(await mintJoinToken(book.mesh.citadelSocket, productpagePrincipal)), log: { info: () => undefined, warn: () => undefined },
      });
      try {
        const { certChainPem, privateKeyPem } = await agent.ready();
        const answer = await overTls({ address: book.mesh.workload('details-v1').address, port: 9080, path: '/details/0', cert: certChainPem, key: privateKeyPem });
        assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
        assert.match(answer, /William Shakespeare/);
      } finally {
        agent.stop();
      }
    });

    test('explain says of the live mesh what the requests just did', async () => {
      const legs = async (from: string, url: string) => {
        const ran = await meltemi(book.mesh, ['explain', '--from', from, 'GET', url, '-o', 'json']);
        assert.equal(ran.code, 0, ran.stderr);
        return (JSON.parse(ran.stdout) as { workload: string; call: { tls: string }; answer: { outcome: string; cluster?: string } }[]).map(({ workload, call, answer }) => [workload, call.tls, answer.outcome, answer.cluster]);
      };
      assert.deepEqual(await legs('istio-system/istio-ingressgateway', book.url()), [
        ['istio-ingressgateway.istio-system', 'none', 'routed', 'outbound|9080||productpage.default.svc.cluster.local'], ['productpage-v1.default', 'mtls', 'routed', 'inbound|9080||'],
      ]);
      assert.deepEqual(await legs('default/productpage', 'http://details:9080/details/0'), [
        ['productpage-v1.default', 'none', 'routed', 'outbound|9080||details.default.svc.cluster.local'], ['details-v1.default', 'mtls', 'routed', 'inbound|9080||'],
      ]);
    });

    test('the page is as before', async () => {
      for (let i = 0; i < 6; i++) assert.ok(isWhole(await book.page()));
    });
  });

  test('every program says it is ready and what it counted', async () => {
    const { control } = book.mesh;
    for (const port of [15014, 15023, 15031]) {
      assert.equal((await get(`http://${control}:${port}/healthz/ready`)).status, 200);
      assert.match((await get(`http://${control}:${port}/metrics`)).body, /^# HELP /m);
    }
    for (const { address } of book.mesh.workloads) assert.equal((await get(`http://${address}:15000/ready`)).status, 200);
  });
});

function plaintext(workload: RunningWorkload): Promise<{ status: number }> {
  return new Promise((resolve, reject) => {
    const call = request({ host: workload.address, port: 9080, path: '/health', agent: false, signal: AbortSignal.timeout(10_000) }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0 }));
    });
    call.on('error', reject);
    call.end();
  });
}
