import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { get, repository } from '../index.ts';
import { BookinfoMesh } from './bookinfo-mesh.ts';

/** MeshConfig's one switch: metrics belong to a provider that is not Prometheus at the proxies. */
const metricsElsewhere = `
extensionProviders: [{name: telemetry, envoyHttpAls: {service: telemetry.istio-system.svc.cluster.local, port: 15030}}]
defaultProviders: {metrics: [telemetry]}
`;

describe('telemetry owns the standard metrics', () => {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  let bookinfo: BookinfoMesh;
  const metricsOf = async (url: string) => (await get(url)).body.split('\n').filter((line) => line.startsWith('istio_requests_total{'));
  before(async () => {
    const meshConfig = join(dir, 'mesh.yaml');
    writeFileSync(meshConfig, readFileSync(join(repository, 'deploy/laptop/mesh.yaml'), 'utf8') + metricsElsewhere);
    bookinfo = await BookinfoMesh.start(90, [], { meshConfig, telemetryArgs: ['--own-prometheus'] });
  });
  after(async () => {
    await bookinfo.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('it counts both ends of each hop, and no proxy counts any', async () => {
    for (let sent = 0; sent < 10; sent++) assert.equal((await bookinfo.page()).status, 200);
    const { mesh } = bookinfo;
    const hop = (lines: readonly string[], reporter: string) => lines.some((line) => line.includes(`reporter="${reporter}"`) && line.includes('source_workload="productpage-v1"') && line.includes('destination_service="details.default.svc.cluster.local"') && line.endsWith(' 10'));
    await waitFor('telemetry to have counted productpage → details ten times at both ends', async () => {
      const lines = await metricsOf(`http://${mesh.control}:15031/metrics`);
      return hop(lines, 'source') && hop(lines, 'destination');
    }, { deadlineMs: 20_000, everyMs: 200 });
    for (const workload of mesh.workloads) assert.deepEqual(await metricsOf(`http://${workload.address}:15090/stats/prometheus`), [], workload.podName);
  });
});
