import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { meltemi } from '../index.ts';
import { BookinfoMesh, isWhole } from './bookinfo-mesh.ts';

let bookinfo: BookinfoMesh;
before(async () => {
  bookinfo = await BookinfoMesh.start(97);
});
after(() => bookinfo.stop());

/** The traffic that is observed: a visitor's page with all of its panels. */
async function visit(): Promise<void> {
  for (let i = 0; i < 6; i++) assert.ok(isWhole(await bookinfo.page()));
}

const from = (workload: string, url: string, method = 'GET') => bookinfo.through(bookinfo.mesh.workload(workload), url, { method }).then(({ status }) => status);

test('policies suggested from a visit let the same visit pass, and refuse another caller, another method and another path', async () => {
  await visit();
  let suggested = await meltemi(bookinfo.mesh, ['authz', 'suggest', '-n', 'default']);
  await waitFor('reports of every server', async () => {
    if (['productpage', 'details', 'reviews', 'ratings'].every((name) => suggested.stdout.includes(`name: "${name}-observed"`))) return true;
    suggested = await meltemi(bookinfo.mesh, ['authz', 'suggest', '-n', 'default']);
    return false;
  }, { deadlineMs: 20_000 });
  assert.equal(suggested.code, 0, suggested.stdout + suggested.stderr);
  assert.match(suggested.stdout, /# {3}0 are allowed today and would be refused\n[\s\S]*# It holds\./);

  const elsewhere = () => Promise.all([from('ratings-v1', 'http://details:9080/details/0'), from('productpage-v1', 'http://details:9080/details/0', 'POST'), from('productpage-v1', 'http://details:9080/health')]);
  assert.ok((await elsewhere()).every((status) => status !== 403), 'nothing refuses them yet');

  await bookinfo.applyYaml(suggested.stdout);
  await visit();
  // the connection that ratings still holds to details ends with its next answer, as the listener's old filter chain drains
  await waitFor('all of it to be refused', async () => (await elsewhere()).every((status) => status === 403), { deadlineMs: 10_000 });
  const check = await meltemi(bookinfo.mesh, ['authz', 'check', 'details-v1']);
  assert.match(check.stdout, /ALLOW +details-observed\.default +1/);

  const again = await meltemi(bookinfo.mesh, ['authz', 'suggest', '-n', 'default', '--deny-all']);
  assert.deepEqual([again.code, /\d+ are refused, today and then; 0 are refused today and would be allowed/.test(again.stdout)], [0, true], again.stdout);
});
