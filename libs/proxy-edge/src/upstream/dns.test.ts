import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { address, clusterOf } from '../server/fixture.ts';
import { watchDns } from './dns.ts';

/** Follows app.example, whose look-ups end as the test says: addresses, or the code of an error. */
function follow(t: TestContext, type: 'STRICT_DNS' | 'LOGICAL_DNS') {
  let answer: readonly string[] | string = ['10.0.0.1'];
  let hosts: string[] | null = null;
  let updates = 0;
  const cluster = clusterOf({ name: 'app', type, dnsRefreshRate: '0.05s', loadAssignment: { clusterName: 'app', endpoints: [{ lbEndpoints: [{ endpoint: { address: address(80, 'app.example') } }] }] } });
  const resolve = () => (typeof answer === 'string' ? Promise.reject(Object.assign(new Error(answer), { code: answer })) : Promise.resolve([...answer]));
  t.after(watchDns(cluster, { resolve }, ({ priorities }) => {
    updates++;
    hosts = priorities.flatMap((localities) => localities.flatMap(({ endpoints }) => endpoints.map(({ key }) => key)));
  }));
  return {
    hosts: () => hosts,
    /** Answers so from now on, until that was heard. */
    say: async (next: readonly string[] | string) => {
      answer = next;
      const before = updates;
      await waitFor('the answer', () => updates >= before + 2);
    },
  };
}

for (const type of ['STRICT_DNS', 'LOGICAL_DNS'] as const)
  test(`${type}: a name that is not there any more ${type === 'STRICT_DNS' ? 'has no hosts' : 'keeps its last address'}, one that cannot be looked up keeps what it had`, async (t) => {
    const { hosts, say } = follow(t, type);
    await waitFor('the first answer', () => hosts() !== null);
    assert.deepEqual(hosts(), ['10.0.0.1:80']);
    await say('EAI_AGAIN');
    assert.deepEqual(hosts(), ['10.0.0.1:80']);
    await say('ENOTFOUND');
    assert.deepEqual(hosts(), type === 'STRICT_DNS' ? [] : ['10.0.0.1:80']);
    await say(['10.0.0.2']);
    assert.deepEqual(hosts(), ['10.0.0.2:80']);
  });
