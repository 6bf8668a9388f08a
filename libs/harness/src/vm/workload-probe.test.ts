import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { waitFor } from '@meltemi/base';
import { ControlPlane } from '../attacks/control-plane/control-plane.ts';
import { MeshProcess } from '../process.ts';
import { programCommand } from '../programs.ts';

const address = '127.88.3.1';
const port = 18_231;

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

const proxyConfig = `
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: all, namespace: vms}
spec: {concurrency: 1, environmentVariables: {ISTIO_META_TIER: gold}}
`;

describe('a machine of a WorkloadGroup', () => {
  const control = new ControlPlane();
  let status = 503;
  const application = createServer((_request, response) => response.writeHead(status).end());
  let proxy: MeshProcess | undefined;

  before(async () => {
    await control.start(['citadel', 'pilot']);
    control.write('entry.yaml', entry);
    control.write('proxy-config.yaml', proxyConfig);
    application.listen(port, address);
    await once(application, 'listening');
  });
  after(async () => {
    application.close();
    application.closeAllConnections();
    await proxy?.kill();
    await control.stop();
  });

  /** A proxy beside the application, as on a virtual machine: from the files that the command line writes. */
  async function joins(): Promise<void> {
    const [folder, portsFile, context] = [join(control.dir, 'vm'), join(control.dir, 'ports', 'proxy.json'), join(control.dir, 'context.json')];
    control.writeContext({ citadelSocket: control.citadelSocket });
    const [command, ...cli] = programCommand('cli', 'source');
    const configured = await promisify(execFile)(command, [
      ...cli, '--context', context, 'workload', 'entry', 'configure', '-f', join(control.dir, 'config'), '-o', folder, '--autoregister', '--internalIP', address,
      '--discovery-address', `127.0.0.1:${control.port('pilot')}`, '--citadel-address', `127.0.0.1:${control.port('citadel')}`,
    ]);
    assert.match(configured.stdout, /Wrote mesh\.yaml, cluster\.env, hosts, istio-token, root-cert\.pem .*, for spiffe:\/\/cluster\.local\/ns\/vms\/sa\/db\./);
    assert.equal(readFileSync(join(folder, 'root-cert.pem'), 'utf8').trim(), control.forger.root.certificate.pem.trim());
    proxy = new MeshProcess({
      name: 'proxy', portsFile, logFile: join(control.dir, 'logs', 'proxy'), env: { ISTIO_META_INTERCEPTION_MODE: 'NONE' },
      command: [...programCommand('proxy', 'source'), '--workload-dir', folder, '--ports-file', portsFile, '--health-port', '0', '--admin-port', '0', '--prometheus-port', '0', '--minimum-drain-duration', '0s'],
    });
    await proxy.start();
  }

  const endpoints = async () => {
    const reply = await fetch(`http://127.0.0.1:${control.adminPort('pilot')}/debug/endpointz`);
    const all = (await reply.json()) as { service: string; endpoints: { address: string; healthy: boolean }[] }[];
    return all.find(({ service }) => service === 'vms/db.test')?.endpoints.map((each) => `${each.address} ${each.healthy ? 'healthy' : 'unhealthy'}`) ?? [];
  };
  const proxyMetadata = async () => {
    const reply = await fetch(`http://${address}:${proxy?.ports()['admin'] ?? 0}/server_info`);
    return ((await reply.json()) as { node: { metadata: Record<string, unknown> } }).node.metadata;
  };
  const become = (expected: string) => waitFor(`the endpoint to be ${expected}`, async () => {
    const found = await endpoints();
    return found.length === 1 && found[0] === `${address} ${expected}`;
  }, { deadlineMs: 20_000, everyMs: 50 });

  test('an application takes traffic once it is ready, none while it fails, and again when it recovers', async () => {
    const probe = { httpGet: { port, path: '/healthz' }, periodSeconds: 1, failureThreshold: 2 };
    control.write('group.yaml', group(probe));
    await joins();
    await become('unhealthy');
    const metadata = await proxyMetadata();
    assert.deepEqual([metadata['TIER'], metadata['AUTO_REGISTER_GROUP']], ['gold', 'db'], 'what ProxyConfig objects and the command line said');
    status = 200;
    await become('healthy');
    status = 500;
    await become('unhealthy');
    assert.match(control.log('pilot'), /is not healthy: answered 500/);
    status = 204;
    await become('healthy');
  });
});
