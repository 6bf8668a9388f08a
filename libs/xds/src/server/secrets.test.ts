import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { testSet } from '../resource-set.fake.ts';
import { xdsSnapshot } from '../resource-set.ts';
import { shortTypeName, xdsType } from '../resource-types.ts';
import { deltaSequencer, sotwSequencer, type DeltaSequencer } from './push-sequencer.ts';

const { listener, secret } = xdsType;

function asking(sequencer: DeltaSequencer, request: Partial<DeltaDiscoveryRequest>): string[] {
  sequencer.receive({ typeUrl: secret, resourceNamesSubscribe: [], resourceNamesUnsubscribe: [], resourceLocatorsSubscribe: [], resourceLocatorsUnsubscribe: [], initialResourceVersions: {}, responseNonce: '', ...request });
  return sent(sequencer);
}

let last: DeltaDiscoveryResponse | undefined;

function sent(sequencer: DeltaSequencer): string[] {
  const { responses } = sequencer.advance(0);
  last = responses.at(-1) ?? last;
  return responses.map((each) => [shortTypeName(each.typeUrl), ...each.resources.map(({ name }) => `+${name}`), ...each.removedResources.map((name) => `-${name}`)].join(' '));
}

const acknowledged = (sequencer: DeltaSequencer) => asking(sequencer, { typeUrl: last?.typeUrl ?? '', responseNonce: last?.nonce ?? '' });

test('a secret is given within the push whose listener waits for it', () => {
  const sequencer = deltaSequencer();
  sequencer.push(xdsSnapshot('1', [testSet(listener, { gateway: 'x' })]));
  assert.deepEqual(asking(sequencer, { typeUrl: listener, resourceNamesSubscribe: ['*'] }), ['LDS +gateway']);
  assert.deepEqual(asking(sequencer, { resourceNamesSubscribe: ['cert'] }), []);
  sequencer.amend(testSet(secret, { cert: 'pem' }));
  assert.deepEqual(sent(sequencer), ['SDS +cert']);
});

test('a secret that is not there is not said to be gone: it is owed, and comes when it is there', () => {
  const sequencer = deltaSequencer();
  sequencer.push(xdsSnapshot('1', [testSet(secret, { other: 'pem' })]));
  assert.deepEqual(asking(sequencer, { resourceNamesSubscribe: ['cert', 'other'] }), ['SDS +other']);
  acknowledged(sequencer);
  assert.equal(sequencer.followedRevision(), '1');
  sequencer.push(xdsSnapshot('2', [testSet(secret, { other: 'pem', cert: 'pem' })]));
  assert.deepEqual(sent(sequencer), ['SDS +cert']);
});

test('a client keeps a secret that is deleted, and one it holds from before is compared', () => {
  const sequencer = deltaSequencer();
  const set = testSet(secret, { cert: 'pem' });
  sequencer.push(xdsSnapshot('1', [set]));
  assert.deepEqual(asking(sequencer, { resourceNamesSubscribe: ['cert'], initialResourceVersions: { cert: set.resources.get('cert')?.version ?? '' } }), []);
  sequencer.push(xdsSnapshot('2', [testSet(secret, {})]));
  assert.deepEqual(sent(sequencer), []);
  assert.equal(sequencer.followedRevision(), '2');
  sequencer.push(xdsSnapshot('3', [testSet(secret, { cert: 'renewed' })]));
  assert.deepEqual(sent(sequencer), ['SDS +cert']);
});

test('a state-of-the-world client is given what is there of what it asks for', () => {
  const sequencer = sotwSequencer();
  sequencer.push(xdsSnapshot('1', []));
  const request: DiscoveryRequest = { typeUrl: secret, resourceNames: ['cert', 'missing'], resourceLocators: [], versionInfo: '', responseNonce: '' };
  sequencer.receive(request);
  assert.equal(sequencer.advance(0).responses.length, 0);
  sequencer.amend(testSet(secret, { cert: 'pem' }));
  const [response] = sequencer.advance(0).responses;
  assert.equal(response?.resources.length, 1);
  sequencer.receive({ ...request, versionInfo: response.versionInfo, responseNonce: response.nonce });
  assert.equal(sequencer.advance(0).responses.length, 0);
  sequencer.amend(testSet(secret, {}));
  assert.deepEqual(sequencer.advance(0).responses.map(({ resources }) => resources.length), []);
});
