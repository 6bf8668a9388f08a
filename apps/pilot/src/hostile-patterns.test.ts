import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ItemResult_Action } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';

const pilot = new PilotProgram();
before(async () => {
  pilot.write('reviews.yaml', reviews);
  await pilot.start();
});
after(() => pilot.remove());

/** Others are answered within this, whatever somebody writes. */
const promptMs = 3000;
const bombs = ['(a+)+$', '(a|aa)+$', '.{0,1000}'.repeat(110), '((a{0,30}){0,30}){0,30}b', '(?:[\\pL\\pN]{0,1000})'.repeat(40), '\\pL'.repeat(300)];

const virtualService = (name: string, patterns: readonly string[]) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default}
spec:
  hosts: [reviews]
  http:
${patterns.map((pattern) => `  - match: [{uri: {regex: '${pattern}'}, headers: {x-a: {regex: '${pattern}'}}}]\n    route: [{destination: {host: reviews, subset: v1}}]`).join('\n')}
`;
const envoyFilter = (pattern: string) => `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: bomb, namespace: default}
spec:
  configPatches:
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND, proxy: {proxyVersion: '${pattern}'}}
    patch: {operation: MERGE, value: {connect_timeout: 3s}}
`;
const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: bomb, namespace: default}
spec:
  action: DENY
  rules:
${Array.from({ length: 40 }, (_, i) => `  - to: [{operation: {paths: ["/{*}/${'{*}/'.repeat(20)}{**}/${i}", "*${'a*'.repeat(3)}"], hosts: ["*${'a'.repeat(2000)}*"]}}]\n    when: [{key: "request.headers[x-${i}]", values: ["*${'*a'.repeat(500)}*"]}]`).join('\n')}
`;

/** The longest that anybody else waited while `work` was done. */
async function othersWaited(work: () => Promise<unknown>): Promise<number> {
  let done = false;
  let longest = 0;
  const asking = (async () => {
    while (!done) {
      const began = performance.now();
      await Promise.all([fetch(`http://${pilot.address('admin')}/healthz/ready`).then((answer) => answer.text()), pilot.list('Service')]);
      longest = Math.max(longest, performance.now() - began);
    }
  })();
  const working = work().finally(() => {
    done = true;
  });
  await Promise.all([working, asking]);
  return longest;
}

test('patterns that backtrack, or count far, in every kind that has patterns: pilot goes on answering', async () => {
  const waited = await othersWaited(async () => {
    for (const [i, pattern] of bombs.entries()) await pilot.applyCall(virtualService(`bomb-${i}`, [pattern]));
    await pilot.applyCall(virtualService('many', Array.from({ length: 60 }, (_, i) => `${bombs[i % 2]}${i}`)));
    for (const pattern of bombs) await pilot.applyCall(envoyFilter(pattern));
    await pilot.applyCall(policy);
    pilot.write('bombs.yaml', bombs.map((pattern, i) => virtualService(`file-${i}`, [pattern])).join('---\n'));
    await waitFor('the file to be read', async () => (await pilot.list('VirtualService')).objects.some(({ key }) => key?.name === 'file-0'), { deadlineMs: 10_000 });
  });
  assert.ok(waited < promptMs, `somebody waited ${Math.round(waited)} ms`);
  assert.equal((await pilot.applyCall(route('v1'))).results[0]?.action, ItemResult_Action.CREATED);
});

test('the author is told what is wrong with a pattern that counts too far', async () => {
  const { results } = await pilot.applyCall(virtualService('told', ['.{0,1000}'.repeat(110)]));
  assert.equal(results[0]?.action, ItemResult_Action.REFUSED);
  assert.match(JSON.stringify(results), /counts too far/);
});

test('analyze and explain come to an end over them', async () => {
  const began = performance.now();
  pilot.write('bombs.yaml', [...bombs.map((pattern, i) => virtualService(`file-${i}`, [pattern])), policy].join('---\n'));
  const analyzed = await pilot.meltemi(['analyze', pilot.config]);
  assert.notEqual(analyzed.code, null);
  const explained = await pilot.meltemi(['explain', '-f', pilot.config, '--from', 'default/reviews-v1-0', 'GET', `http://reviews:9080/${'a'.repeat(8000)}`]);
  assert.notEqual(explained.code, null);
  assert.ok(performance.now() - began < 25_000, `it took ${Math.round(performance.now() - began)} ms`);
});
