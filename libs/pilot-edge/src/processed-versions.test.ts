import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredObject } from '@meltemi/config';
import { ProcessedVersions } from './processed-versions.ts';

const key = { group: '', kind: 'Service', namespace: 'default', name: 'a' };
const stored = (resourceVersion: string): StoredObject => ({ object: { key, apiVersion: 'v1', content: {} }, resourceVersion, creationTimestamp: '' });
const put = (version: string, resourceVersion = version) => ({ type: 'put', object: stored(resourceVersion), version, lastOfCommit: true }) as const;
const gone = (version: string) => ({ type: 'delete', key, version, lastOfCommit: true }) as const;

function after(...events: Parameters<ProcessedVersions['took']>[0][]): ProcessedVersions {
  const versions = new ProcessedVersions();
  for (const event of events) versions.took(event);
  return versions;
}

async function reached(versions: ProcessedVersions, version: string): Promise<boolean> {
  return versions.wait(version, AbortSignal.abort()).then(() => true, () => false);
}

test('a version is reached with the last event of its commit, or when everything up to it was told', async () => {
  const versions = after(put('3'), { ...put('7'), lastOfCommit: false });
  assert.deepEqual([await reached(versions, '3'), await reached(versions, '7')], [true, false]);
  versions.took(put('7'));
  versions.took({ type: 'synced', version: '12' });
  assert.deepEqual([await reached(versions, '12'), await reached(versions, '13'), await reached(versions, '')], [true, false, true]);
});

test('who waits is told when the version is there', async () => {
  const versions = after(put('3'));
  const waiting = versions.wait('5', new AbortController().signal);
  versions.took(put('6'));
  await waiting;
});

test('written last is what every reader of the store reaches: no version of one’s own start or relist', () => {
  assert.equal(after().written, '');
  assert.equal(after({ type: 'synced', version: '90' }).written, '', 'an empty store');
  const versions = after(put('8'), put('5'), { type: 'synced', version: '90' });
  assert.equal(versions.written, '8');
  versions.took({ ...gone('95'), missed: true });
  assert.equal(versions.written, '8', 'a removal that was missed and found by listing anew');
  versions.took(put('95', '93'));
  assert.equal(versions.written, '93', 'what was missed is told with the version of the listing');
  versions.took(gone('99'));
  assert.equal(versions.written, '99');
});

test('nothing that an older store in place of this one will never reach counts as written', () => {
  const versions = after(put('80'), put('40'), { type: 'synced', version: '90' });
  versions.took(put('41', '40'));
  versions.took({ type: 'synced', version: '41' });
  assert.equal(versions.written, '');
  const relisted = after(put('80'), { type: 'synced', version: '90' }, { type: 'resync', objects: [stored('12'), stored('9')], unreadable: [], version: '41' });
  assert.equal(relisted.written, '12');
});
