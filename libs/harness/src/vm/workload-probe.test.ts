import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { ControlPlane } from '../attacks/control-plane/control-plane.ts';
import { MeshProcess } from '../process.ts';
import { programCommand } from '../programs.ts';

const address = '127.88.3.1';
const port = 18_231;
const identity = 'spiffe://cluster.local/ns/vms/sa/db';

const group = (probe: object) => JSON.stringify({
  apiVersion: 'networking.istio.io/v1', kind: 'WorkloadGroup', metadata: { name: 'db', namespace: 'vms' },
  spec: { metadata: { labels: { app: 'db' } }, template: { serviceAccount: 'db', ports: { http: port } }, probe },
});
const entry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: vms}
spec: {hosts: [db.test], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: db}}}
`;

describe('the probe of a WorkloadGroup', () => {
  const control = new ControlPlane();
  let status = 503;
  const application = createServer((_request, response) => response.writeHead(status).end());
  let proxy: MeshProcess | undefined;

  before(async () => {
    await control.start(['citadel', 'pilot']);
    control.write('entry.yaml', entry);
    application.listen(port, address);
    await once(application, 'listening');
  });
  after(async () => {
    application.close();
    application.closeAllConnections();
    await proxy?.kill();
    await control.stop();
  });

  /** A proxy beside the application, as a virtual machine's. */
  async function joins(probe: object): Promise<void> {
    const name = 'proxy';
    const portsFile = join(control.dir, 'ports', `${name}.json`);
    proxy = new MeshProcess({
      name, portsFile, logFile: join(control.dir, 'logs', name),
      env: { ISTIO_META_AUTO_REGISTER_GROUP: 'db', ISTIO_META_INTERCEPTION_MODE: 'NONE', ISTIO_META_SERVICE_ACCOUNT: 'db', ISTIO_METAJSON_PROXY_CONFIG: JSON.stringify({ readinessProbe: probe }) },
      command: [
        ...programCommand('proxy', 'source'), '--service-node', `sidecar~${address}~db.vms~vms.svc.cluster.local`, '--discovery-address', `127.0.0.1:${control.port('pilot')}`, '--citadel-address', `127.0.0.1:${control.port('citadel')}`,
        '--join-token-file', await control.tokenFile(identity), '--ports-file', portsFile, '--health-port', '0', '--admin-port', '0', '--prometheus-port', '0', '--minimum-drain-duration', '0s',
      ],
    });
    await proxy.start();
  }

  const endpoints = async () => {
    const reply = await fetch(`http://127.0.0.1:${control.adminPort('pilot')}/debug/endpointz`);
    const all = (await reply.json()) as { service: string; endpoints: { address: string; healthy: boolean }[] }[];
    return all.find(({ service }) => service === 'vms/db.test')?.endpoints.map((each) => `${each.address} ${each.healthy ? 'healthy' : 'unhealthy'}`) ?? [];
  };
  const become = (expected: string) => waitFor(`the endpoint to be ${expected}`, async () => {
    const found = await endpoints();
    return found.length === 1 && found[0] === `${address} ${expected}`;
  }, { deadlineMs: 20_000, everyMs: 50 });

  test('an application takes traffic once it is ready, none while it fails, and again when it recovers', async () => {
    const probe = { httpGet: { port, path: '/healthz' }, periodSeconds: 1, failureThreshold: 2 };
    control.write('group.yaml', group(probe));
    await joins(probe);
    await become('unhealthy');
    status = 200;
    await become('healthy');
    status = 500;
    await become('unhealthy');
    assert.match(control.log('pilot'), /is not healthy: HTTP status 500/);
    status = 204;
    await become('healthy');
  });
});
