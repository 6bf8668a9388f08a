import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEtcdCluster } from './etcd-cluster.ts';

void test('says which package to install when there is no etcd', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    await assert.rejects(startEtcdCluster(), /etcd is not installed: apt-get install etcd-server/);
  } finally {
    process.env['PATH'] = path;
  }
});
