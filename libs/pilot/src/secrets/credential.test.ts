import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SecretSpec } from '@meltemi/config';
import { configsOf } from '../testing/mesh.test-support.ts';
import { pemsFor, secretYaml } from '../testing/pems.test-support.ts';
import { secretProblems } from './credential.ts';

const pems = pemsFor('shop');

function problems(values: Readonly<Record<string, string>>, type?: string): string[] {
  const [secret] = configsOf(secretYaml('default/one', values, type));
  return secretProblems(secret?.spec as SecretSpec).map(({ path, message }) => `${path} ${message}`);
}

test('good pairs and roots, and Secrets for other uses, have no problem', () => {
  assert.deepEqual(problems({ 'tls.crt': pems.certificate + pems.root, 'tls.key': pems.key, 'ca.crt': pems.root }, 'kubernetes.io/tls'), []);
  assert.deepEqual(problems({ cert: pems.certificate, key: pems.key }), []);
  assert.deepEqual(problems({ password: 'hunter2', 'tls.crt': 'alone' }), []);
  assert.deepEqual(problems({ 'ca.crt': '', token: 'x' }), []);
});

test('each way a Secret can be wrong has its own words', () => {
  const { certificate, key, root } = pems;
  assert.deepEqual(problems({ 'tls.crt': certificate }, 'kubernetes.io/tls'), ['data has neither cert and key nor tls.crt and tls.key with content; it has tls.crt']);
  assert.deepEqual(problems({ 'tls.crt': '', 'tls.key': '' }, 'kubernetes.io/tls'), ['data has neither cert and key nor tls.crt and tls.key with content; it has tls.crt, tls.key']);
  assert.deepEqual(problems({ cert: 'nothing', key }), ['data.cert is no certificate in PEM']);
  assert.deepEqual(problems({ cert: certificate + certificate.replace('MII', 'AAA'), key }), ['data.cert certificate 2 cannot be read']);
  assert.deepEqual(problems({ cert: certificate, key: 'nothing' }), ['data.key is no private key in PEM without a passphrase']);
  assert.deepEqual(problems({ cert: root, key }), ['data.key does not belong to the first certificate of cert']);
  assert.deepEqual(problems({ cacert: 'nothing' }), ['data.cacert is no certificate in PEM']);
  assert.deepEqual(problems({ cacert: root, crl: 'nothing' }), ['data.crl is no certificate revocation list in PEM']);
});

test('a value that is no base64 is said to be none', () => {
  const [secret] = configsOf('apiVersion: v1\nkind: Secret\nmetadata: {name: one}\ntype: kubernetes.io/tls\ndata: {tls.crt: "-----BEGIN CERTIFICATE-----", tls.key: QQ==}\n');
  assert.deepEqual(secretProblems(secret?.spec as SecretSpec), [{ path: 'data["tls.crt"]', message: 'is not base64; text goes below stringData' }]);
});
