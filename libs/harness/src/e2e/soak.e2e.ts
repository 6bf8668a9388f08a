import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { soak } from '../index.ts';
import { BookinfoMesh } from './bookinfo-mesh.ts';

let bookinfo: BookinfoMesh;
before(async () => {
  bookinfo = await BookinfoMesh.start(89);
});
after(() => bookinfo.stop());

// The minute of `npm run soak`: heaps still find their size in it, so the bound is loose; leaks of a request or a push show all the same.
test('a minute of 50 requests a second with route switches fails no request, ends no process and grows none', async () => {
  const report = await soak(bookinfo.mesh, { seconds: 60, switchSeconds: 5, maxGrowthBytes: 48 * 2 ** 20 });
  assert.deepEqual(report.problems, []);
  assert.ok(report.requests > 2500, `${report.requests} requests were sent`);
  assert.ok(report.switches >= 5, `${report.switches} switches`);
});
