import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { idOf, MeshFixture } from './testing/identity-fixture.ts';
import { KeptIdentity } from './kept-identity.ts';

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';

test('keeps one identity readable by its owner only, and gives it back while it is valid and ours', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'meltemi-kept-'));
  try {
    const dir = join(parent, 'state');
    const kept = new KeptIdentity(dir);
    assert.equal(await kept.load(idOf(reviews), Date.now()), undefined);
    const certificate = new MeshFixture().issue(reviews);
    await kept.save(new MeshFixture().issue(reviews));
    await kept.save(certificate);
    assert.deepEqual(readdirSync(dir), ['identity.json']);
    assert.equal((statSync(dir).mode & 0o777).toString(8), '700');
    assert.equal((statSync(join(dir, 'identity.json')).mode & 0o777).toString(8), '600');
    const loaded = await kept.load(idOf(reviews), Date.now());
    assert.ok(loaded?.ok);
    const { trust, ...rest } = loaded.value;
    const { trust: expectedTrust, ...expected } = certificate;
    assert.deepEqual([rest, trust.pem], [expected, expectedTrust.pem]);

    const reason = async (id = reviews, now = Date.now()): Promise<string> => {
      const outcome = await kept.load(idOf(id), now);
      return outcome && !outcome.ok ? (outcome.error[0]?.message ?? '') : 'loaded';
    };
    assert.match(await reason(reviews, certificate.notAfter + 1000), /expired/);
    assert.match(await reason('spiffe://cluster.local/ns/default/sa/ratings'), /is for .*reviews, not for .*ratings/);
    for (const damage of ['', '{}', 'null', '{"certChainPem":"x","privateKeyPem":"y","rootsPem":"z"}']) {
      writeFileSync(join(dir, 'identity.json'), damage);
      assert.notEqual(await reason(), 'loaded');
    }
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});
