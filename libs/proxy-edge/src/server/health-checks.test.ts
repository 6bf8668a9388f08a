import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { application, ask, httpListener, must, portOf, routeTo, staticCluster, workerServer } from './fixture.ts';

test('a new listener opens when the hosts of new clusters have been checked: its first request is served', async (t) => {
  const checks: http.ServerResponse[] = [];
  const app = await application(t, (request, response) => {
    if (request.url === '/healthz') checks.push(response);
    else response.end('ok');
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app], { healthChecks: [{ timeout: '10s', interval: '60s', unhealthyThreshold: 1, healthyThreshold: 1, httpHealthCheck: { path: '/healthz' } }] })));
  const listening = server.setListener(httpListener({ routes: [routeTo('app')] }));
  await waitFor('the check', () => checks.length === 1);
  assert.deepEqual(server.warming().map(({ missing }) => missing), [['health checks of cluster app']]);
  checks[0]?.end();
  must(await listening);
  assert.equal((await ask(portOf(server))).status, 200);
  // A change of a listener that serves waits for nobody.
  must(server.setCluster(staticCluster('other', [app], { healthChecks: [{ timeout: '10s', interval: '60s', unhealthyThreshold: 1, healthyThreshold: 1, httpHealthCheck: { path: '/healthz' } }] })));
  must(await server.setListener(httpListener({ routes: [routeTo('app')], hcm: { serverName: 'changed' } })));
});
