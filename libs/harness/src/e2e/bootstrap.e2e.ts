import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { MeshProcess } from '../process.ts';
import { programCommand } from '../programs.ts';

const host = '127.96.0.1';

/** A gateway to a host outside the mesh: what a proxy without a certificate can serve. */
const manifest = (gatewayPort: number, backendPort: number, version: string) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: default }
spec:
  selector: { istio: edge }
  servers: [{ port: { number: ${gatewayPort}, name: http, protocol: HTTP }, hosts: ["*"] }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: app, namespace: default }
spec:
  hosts: [app.test]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: ${backendPort}, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: app, namespace: default }
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{ headers: { response: { set: { x-version: "${version}" } } }, route: [{ destination: { host: app.test, port: { number: ${backendPort} } } }] }]
`;

/** What a stock Envoy of a mesh says of itself, and where its configuration comes from. */
const bootstrap = (xdsPort: number, apiType: string) => ({
  node: {
    id: `router~${host}~edge-0.default~default.svc.cluster.local`, cluster: 'edge.default',
    metadata: { NAME: 'edge-0', NAMESPACE: 'default', SERVICE_ACCOUNT: 'edge', CLUSTER_ID: 'Kubernetes', INSTANCE_IPS: host, LABELS: { istio: 'edge' }, ISTIO_VERSION: '1.24.0' },
  },
  admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
  dynamic_resources: {
    ads_config: { api_type: apiType, transport_api_version: 'V3', set_node_on_first_message_only: true, grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }] },
    lds_config: { ads: {}, resource_api_version: 'V3' }, cds_config: { ads: {}, resource_api_version: 'V3' },
  },
  static_resources: {
    clusters: [{ name: 'xds-grpc', type: 'STATIC', connect_timeout: '1s', load_assignment: { cluster_name: 'xds-grpc', endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: xdsPort } } } }] }] } }],
  },
});

/** A port that was free a moment ago: a Gateway has to name one. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

suite('a plain bootstrap follows our pilot as an Envoy would', () => {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-bootstrap-'));
  const config = join(dir, 'config');
  const processes: MeshProcess[] = [];
  let backend: Server;
  let gatewayPort = 0;
  const backendPort = () => (backend.address() as AddressInfo).port;
  const ports = (name: string) => (JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8')) as { ports: Record<string, number> }).ports;
  const run = async (program: 'pilot' | 'proxy', name: string, args: readonly string[]) => {
    const portsFile = join(dir, `${name}.json`);
    const started = new MeshProcess({ name, command: [...programCommand(program, 'bundle'), ...args, '--ports-file', portsFile], logFile: join(dir, `${name}.log`), portsFile });
    processes.push(started);
    await started.start();
    return started;
  };

  before(async () => {
    mkdirSync(config);
    backend = createServer((_request, response) => response.end('app'));
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    gatewayPort = await freePort();
    writeFileSync(join(config, 'edge.yaml'), manifest(gatewayPort, backendPort(), 'one'));
    await run('pilot', 'pilot', ['--state-dir', join(dir, 'state'), '--config-dir', config, '--listen', '127.0.0.1:0', '--plaintext-listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0']);
  });
  after(async () => {
    await Promise.all(processes.map((each) => each.kill()));
    backend.close();
    rmSync(dir, { recursive: true, force: true });
  });

  for (const apiType of ['GRPC', 'DELTA_GRPC']) {
    test(apiType, async () => {
      writeFileSync(join(config, 'edge.yaml'), manifest(gatewayPort, backendPort(), 'one'));
      const file = join(dir, `${apiType}.bootstrap.json`);
      writeFileSync(file, JSON.stringify(bootstrap(ports('pilot')['xds-plaintext'] ?? 0, apiType)));
      const proxy = await run('proxy', apiType, ['-c', file]);
      const version = async () => {
        const answer = await fetch(`http://${host}:${gatewayPort}/`);
        return answer.status === 200 ? answer.headers.get('x-version') : undefined;
      };
      await waitFor('the gateway to serve', async () => (await version()) === 'one', { deadlineMs: 20_000 });
      writeFileSync(join(config, 'edge.yaml'), manifest(gatewayPort, backendPort(), 'two'));
      await waitFor('a change to arrive', async () => (await version()) === 'two', { deadlineMs: 20_000 });
      const stats = await (await fetch(`http://127.0.0.1:${ports(apiType)['admin']}/stats`)).text();
      assert.match(stats, /^control_plane\.connected_state: 1$/m);
      assert.match(stats, /^cluster_manager\.cds\.update_rejected: 0$/m);
      await proxy.kill();
    });
  }
});
