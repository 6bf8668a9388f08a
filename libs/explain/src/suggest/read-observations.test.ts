import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withAssumedPods } from '../journey/assumed-pods.ts';
import { loadMesh } from '../load.ts';
import { MeshViews } from '../mesh-views.ts';
import { sampleText } from '../testing/ask.ts';
import { merged, readAccesses, readAccessLog } from './read-observations.ts';

const views = new MeshViews(withAssumedPods(loadMesh([{ name: 'bookinfo.yaml', text: sampleText('bookinfo/platform/bookinfo.yaml') }])));
const line = (fields: object) => JSON.stringify({ method: 'GET', path: '/details/0?x=1', authority: 'details:9080', response_code: 200, upstream_cluster: 'inbound|9080||', downstream_local_address: '10.0.0.9:9080', downstream_remote_address: '10.0.0.8:4000', start_time: '2026-11-30T12:00:00.000Z', ...fields });
const productpage = 'spiffe://cluster.local/ns/default/sa/bookinfo-productpage';

test('a server\'s log: callers by their certificates, else by their address; refusals; TCP', () => {
  const log = [
    line({ downstream_peer_uri_san: productpage }), line({ downstream_peer_uri_san: productpage, response_code: '404' }), line({ source_principal: '-' }),
    line({ response_code: 403, response_code_details: 'rbac_access_denied_matched_policy[none]', downstream_peer_uri_san: productpage }), line({ method: null, path: null, downstream_peer_uri_san: productpage }), 'text', '{"a":',
  ].join('\n');
  const { observations, passedOver } = readAccessLog(log, views, { workload: 'default/details-v1', nowMs: 0 });
  assert.equal(passedOver, 2);
  assert.deepEqual(observations.map(({ protocol, principal, sourceIp, path, denied, count, answers }) => [protocol, principal.split('/').at(-1), sourceIp, path, denied, count, answers.ok, answers.clientError]), [
    ['http', 'bookinfo-productpage', '', '/details/0', false, 2, 1, 1], ['http', '', '10.0.0.8', '/details/0', false, 1, 1, 0], ['http', 'bookinfo-productpage', '', '/details/0', true, 1, 0, 1], ['tcp', 'bookinfo-productpage', '', '', false, 1, 1, 0],
  ]);
});

test('a client\'s log is followed through the mesh to the server that it reached', () => {
  const { observations } = readAccessLog(line({ upstream_cluster: 'outbound|9080||details.default.svc.cluster.local' }), views, { workload: 'default/productpage-v1', nowMs: 0 });
  assert.deepEqual(observations.map(({ workload, port, principal, method, path, lastSeenMs }) => [workload, port, `spiffe://${principal}`, method, path, lastSeenMs]), [['default/details-v1', 9080, productpage, 'GET', '/details/0', Date.parse('2026-11-30T12:00:00Z')]]);
  assert.equal(readAccessLog(line({ upstream_cluster: 'outbound|9080||x' }), views, { nowMs: 0 }).passedOver, 1, 'without the client nobody knows who asked');
});

test('what telemetry says is read defensively, and the same of two places is counted together', () => {
  const access = { workload: 'a/b', port: 80, protocol: 'http', principal: productpage, method: 'GET', host: 'b', path: '/', denied: false, count: 2, answers: { ok: 2, clientError: 0, error: 0 }, lastSeen: '2026-11-30T12:00:00Z' };
  const read = readAccesses([access, access, null, 'x', { workload: 5 }, { workload: 'a/b' }]);
  assert.deepEqual([read.length, merged(read).map(({ count, answers }) => [count, answers.ok])], [2, [[4, 4]]]);
});
