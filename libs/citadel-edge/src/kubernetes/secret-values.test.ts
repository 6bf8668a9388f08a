import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { keystoreContract } from '@meltemi/citadel/keystore-contract';
import { SealedKeystore } from '../shared/sealed-keystore.ts';
import { sharedValuesContract } from '../shared/shared-values-contract.ts';
import { ApiServerFixture } from '../testing/api-server.ts';
import { ApiSecrets } from './api-secrets.ts';
import { SecretValues } from './secret-values.ts';
import { FakeSecrets, type Secrets } from './secrets.ts';

const dir = mkdtempSync(join(tmpdir(), 'secrets-api-'));
const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') };
const secret = { kind: 'key file', bytes: randomBytes(32) } as const;
const stops: (() => void)[] = [];
let server: ApiServerFixture;
let url = '';

before(async () => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', files.key, '-out', files.cert, '-days', '1', '-subj', '/CN=api', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  server = new ApiServerFixture(files);
  writeFileSync(join(dir, 'token'), `${server.callerToken}\n`);
  url = await server.start();
});
after(async () => {
  for (const stop of stops) stop();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

function apiSecrets(keystore: string): ApiSecrets {
  const secrets = new ApiSecrets({ api: { url, caFile: files.cert, tokenFile: join(dir, 'token') }, namespace: 'meltemi-system', keystore });
  stops.push(() => secrets.stop());
  return secrets;
}

let keystores = 0;
const storages: Readonly<Record<string, () => { readonly one: Secrets; readonly two: Secrets }>> = {
  'fake Secrets': () => {
    const secrets = new FakeSecrets();
    return { one: secrets, two: secrets };
  },
  'Secrets of an API server': () => {
    const keystore = `keystore-${(keystores += 1)}`;
    return { one: apiSecrets(keystore), two: apiSecrets(keystore) };
  },
};

for (const [storage, open] of Object.entries(storages)) {
  for (const [name, run] of Object.entries(sharedValuesContract)) {
    test(`${storage}: ${name}`, () => {
      const { one, two } = open();
      const prefix = `citadel-${keystores}`;
      return run(new SecretValues(one, prefix), new SecretValues(two, prefix));
    });
  }
  for (const [name, run] of Object.entries(keystoreContract)) {
    test(`sealed keystore in ${storage}: ${name}`, () => {
      const { one, two } = open();
      const prefix = `citadel-${keystores}`;
      return run({ open: () => new SealedKeystore(new SecretValues(one, prefix), { secret }), reopen: () => new SealedKeystore(new SecretValues(two, prefix), { secret }) });
    });
  }
}

test('a write whose answer is lost is found again', async () => {
  const secrets = new FakeSecrets();
  let lose = true;
  const lossy = Object.assign(Object.create(secrets) as FakeSecrets, {
    create: async (name: string, value: string) => {
      const created = await secrets.create(name, value);
      if (!lose) return created;
      lose = false;
      throw new Error('socket hang up');
    },
    get: (name: string) => secrets.get(name),
  });
  assert.equal(await new SecretValues(lossy, 'c').put('authority', 'mine', { revision: undefined }), 'saved');
});

test('more and larger values than fit in one answer are listed, whichever come first', async () => {
  const large = Array.from({ length: 60 }, () => 'x'.repeat(256 * 1024));
  const small = Array.from({ length: 300 }, () => 'small');
  for (const [order, all] of [['large', [...large, ...small]], ['small', [...small, ...large, ...small]]] as const) {
    const values = new SecretValues(apiSecrets(`${order}-first`), order);
    for (const [at, value] of all.entries()) assert.equal(await values.put(`issued/${at}`, value, { revision: undefined }), 'saved');
    assert.deepEqual((await values.list('issued/')).map(({ value }) => value.length), all.map(({ length }) => length), `${order} ones first`);
  }
});

test('what the API server refuses is said with what the service account needs', async () => {
  server.answer = { status: 403, body: '{}' };
  await assert.rejects(apiSecrets('x').get('a'), /answers 403: our service account needs get, list, create, update and delete on secrets in namespace meltemi-system/);
  server.answer = { status: 200, body: '{"metadata":{"name":"a","resourceVersion":"1"},"data":{"other":"eA=="}}' };
  await assert.rejects(apiSecrets('x').get('a'), /was not made by citadel/);
  server.answer = undefined;
});
